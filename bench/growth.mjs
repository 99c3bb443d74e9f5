// Time a packet as the capture grows. The captures have the same mix of flows going on: 5,000 conversations at a time, of 20
// packets on the average, one begins where one ends, so timeouts end as many flows as begin; the shorter captures are
// the first packets of the longest.
//
// Modules, compilation and the table's first growth cost the same whatever comes after, which flatters long captures. So the
// figure is about the packets after the first million: what the last 20 million take of time each, beside those before
// them. The line through all points says both, time a packet and what comes on top once.
import { capture, writeSteady } from './captures.mjs';
import { METER } from './contenders.mjs';
import { measure, median } from './measure.mjs';
import { judge, TARGETS } from './targets.mjs';

const MILLIONS = [1, 3, 10, 30];

/** No nDPI. @param {number} runs @returns {Promise<import('./rows.mjs').Row[]>} */
export async function measureGrowth(runs) {
  const points = MILLIONS.map((millions) => ({
    packets: millions * 1e6,
    path: capture(`steady-${millions}m`, (path) => writeSteady(path, millions * 1e6)),
    /** @type {{ wall: number, inside: number, cpu: number, rss: number }[]} */
    costs: [],
  }));
  for (let turn = 0; turn < runs; turn++) {
    for (const { path, costs } of points) {
      const command = [process.execPath, METER, path, '{"enableNdpi":false}', 'batches'];
      const cost = await measure(command, { keepOutput: true });
      costs.push({ ...cost, inside: JSON.parse(cost.output).wallSeconds });
    }
  }
  const rows = points.map(({ packets, costs }, i) => {
    const middle = (key) => median(costs.map((cost) => cost[key]));
    const before =
      i === 0 ? '' : `; ${nanoseconds(between(points[i - 1], points[i], 'inside'))} after ${MILLIONS[i - 1]} million`;
    return {
      part: 'growth',
      what: `${MILLIONS[i]} million packets, no nDPI`,
      wall: middle('wall'),
      inside: middle('inside'),
      cpu: middle('cpu'),
      rate: packets / middle('wall'),
      rss: middle('rss'),
      figure: `${nanoseconds(middle('inside') / packets)} ns a packet${before}`,
    };
  });
  return [...rows, ...conclusion(points)];
}

function conclusion(points) {
  const [first, , middle, last] = points;
  const ratioOf = (key) => between(middle, last, key) / between(first, middle, key);
  const ratio = ratioOf('inside');
  const { slope, start } = leastSquares(points);
  return [
    {
      part: 'growth',
      what: 'packets 10 to 30 million beside 1 to 10 million',
      figure: `${ratio.toFixed(2)} x the time a packet; of CPU ${ratioOf('cpu').toFixed(2)} x`,
      verdicts: [judge(TARGETS['last / first packets'], 'growth', ratio)],
    },
    {
      part: 'growth',
      what: 'the line through all points',
      figure: `${nanoseconds(slope)} ns a packet, and ${(start * 1000).toFixed(0)} ms once`,
    },
  ];
}

/** Seconds for each packet that the longer capture has more. @param {'inside' | 'cpu'} key */
function between(shorter, longer, key) {
  const each = longer.costs.map((cost, turn) => cost[key] - shorter.costs[turn][key]);
  return median(each) / (longer.packets - shorter.packets);
}

/** Of seconds over packets: seconds a packet, and those at none. */
function leastSquares(points) {
  const x = points.map(({ packets }) => packets);
  const y = points.map(({ costs }) => median(costs.map(({ inside }) => inside)));
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [meanX, meanY] = [mean(x), mean(y)];
  const slope =
    mean(x.map((value, i) => (value - meanX) * (y[i] - meanY))) / mean(x.map((value) => (value - meanX) ** 2));
  return { slope, start: meanY - slope * meanX };
}

function nanoseconds(seconds) {
  return (seconds * 1e9).toFixed(0);
}
