// A metric: how many packets of each flow are longer than 666 bytes.
//
//   npx jiti examples/count-big-packets.ts [CAPTURE]
import { Streamer } from 'nfstream';

const [source = 'fixtures/demo.pcapng'] = process.argv.slice(2);

const streamer = new Streamer({
  source,
  userMetrics: {
    count_pkts_gt_666: (packet, flow) => flow.metrics.count_pkts_gt_666 + (packet.length > 666 ? 1 : 0),
  },
});

for await (const flow of streamer) {
  console.log(`${flow.ip_src}:${flow.src_port} -> ${flow.ip_dst}:${flow.dst_port}`, flow.metrics.count_pkts_gt_666);
}
