// 17 · The textbook's sender, as it is written for RabbitMQ: amqplib's callback API. Its only change is where the URL comes from.
import amqp from 'amqplib/callback_api';

amqp.connect(process.env['AMQP_URL'] ?? 'amqp://localhost', (error0, connection) => {
  if (error0 !== null) throw error0;
  connection.createChannel((error1, channel) => {
    if (error1 !== null) throw error1;
    const queue = 'hello';
    const msg = 'Hello World!';

    channel.assertQueue(queue, { durable: false });
    channel.sendToQueue(queue, Buffer.from(msg));
    console.log(' [x] Sent %s', msg);
  });
  setTimeout(() => {
    connection.close();
    process.exit(0);
  }, 500);
});
