// A metric: the size of the fourth packet from source to destination, 0 where there was none.
//
//   npx jiti examples/fourth-packet-size.ts [CAPTURE]
import { Streamer } from 'nfstream';

const [source = 'fixtures/demo.pcapng'] = process.argv.slice(2);

const streamer = new Streamer({
  source,
  userMetrics: {
    // The flow's counters have this packet already.
    fourth_packet_size: (packet, flow, direction) =>
      direction === 0 && flow.src_to_dst_pkts === 4 ? packet.length : flow.metrics.fourth_packet_size,
  },
});

for await (const flow of streamer) {
  console.log(`${flow.ip_src}:${flow.src_port} -> ${flow.ip_dst}:${flow.dst_port}`, flow.metrics.fourth_packet_size);
}
