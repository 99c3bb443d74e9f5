// Two projects: `unit` runs TypeScript sources as they are; `built` runs what is compiled, as users do (child processes,
// the packed package, the examples, also the documentation's), and needs dist/ first.
import { defineConfig } from 'vitest/config';

const NEEDS_DIST = ['cli', 'docs', 'examples', 'live', 'package', 'worker'].map(
  (folder) => `test/${folder}/**/*.test.ts`,
);

export default defineConfig({
  test: {
    pool: 'forks',
    testTimeout: 20_000,
    hookTimeout: 120_000,
    // Tests that spawn processes share the machine's cores with the ones that compute.
    maxWorkers: 2,
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: NEEDS_DIST,
        },
      },
      {
        extends: true,
        test: {
          name: 'built',
          include: NEEDS_DIST,
          globalSetup: ['test/build-dist.ts'],
        },
      },
    ],
  },
});
