// The other side of 08: no Naru here. `nc 127.0.0.1 PORT` would do as well.
import { connect } from 'node:net';
import { createInterface } from 'node:readline';

const socket = connect(Number(process.argv[2]), '127.0.0.1');
socket.write('hello from ten lines\n');
createInterface({ input: socket }).once('line', (line) => {
  console.log(`ten lines received: ${line}`);
  socket.end();
});
