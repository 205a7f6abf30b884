// 17 · The textbook's receiver, as it is written for RabbitMQ: amqplib's callback API. It runs until it is ended.
import amqp from 'amqplib/callback_api';

amqp.connect(process.env['AMQP_URL'] ?? 'amqp://localhost', (error0, connection) => {
  if (error0 !== null) throw error0;
  connection.createChannel((error1, channel) => {
    if (error1 !== null) throw error1;
    const queue = 'hello';

    channel.assertQueue(queue, { durable: false });
    console.log(' [*] Waiting for messages in %s. To exit press CTRL+C', queue);
    channel.consume(
      queue,
      (msg) => {
        if (msg !== null) console.log(' [x] Received %s', msg.content.toString());
      },
      { noAck: true },
    );
  });
});
