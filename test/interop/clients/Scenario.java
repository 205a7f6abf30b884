// The scenario of clients.engine.test.ts with RabbitMQ's Java client: java -cp … Scenario.java URL QUEUE
import com.rabbitmq.client.*;
import java.io.IOException;
import java.util.*;
import java.util.concurrent.*;

class Scenario {
  public static void main(String[] args) throws Exception {
    String queue = args[1];
    ConnectionFactory factory = new ConnectionFactory();
    factory.setUri(args[0]);
    Connection connection = factory.newConnection();
    Channel channel = connection.createChannel();
    channel.queueDeclare(queue, true, false, false, null);
    channel.confirmSelect();
    for (int i = 0; i < 100; i += 1) {
      AMQP.BasicProperties properties =
          new AMQP.BasicProperties.Builder().deliveryMode(2).headers(Map.of("i", i)).build();
      channel.basicPublish("", queue, properties, ("m" + i).getBytes());
    }
    channel.waitForConfirmsOrDie(60_000);
    System.out.println("confirmed 100");

    channel.addReturnListener(
        (code, text, exchange, key, properties, body) -> System.out.println("returned " + text));
    channel.basicPublish("", queue + "-nowhere", true, null, "x".getBytes());
    channel.waitForConfirmsOrDie(60_000);
    consume(channel, queue);
    System.out.println("left " + channel.queueDeclarePassive(queue).getMessageCount());
    channel.queueDelete(queue);
    try {
      channel.queueDeclarePassive(queue);
    } catch (IOException error) {
      AMQP.Channel.Close reason =
          (AMQP.Channel.Close) ((ShutdownSignalException) error.getCause()).getReason();
      System.out.println("closed " + reason.getReplyCode() + " " + reason.getReplyText());
    }
    connection.close();
    System.out.println("end");
  }

  private static void consume(Channel channel, String queue) throws Exception {
    channel.basicQos(10);
    Set<Integer> received = ConcurrentHashMap.newKeySet();
    List<String> again = new CopyOnWriteArrayList<>();
    CountDownLatch all = new CountDownLatch(100);
    String tag = channel.basicConsume(queue, false, new DefaultConsumer(channel) {
      @Override
      public void handleDelivery(String t, Envelope envelope, AMQP.BasicProperties properties, byte[] bytes)
          throws IOException {
        String body = new String(bytes);
        if (body.equals("m5") && !envelope.isRedeliver()) {
          channel.basicNack(envelope.getDeliveryTag(), false, true);
          return;
        }
        int i = (Integer) properties.getHeaders().get("i");
        if (!body.equals("m" + i)) throw new IOException("the header does not belong to the body");
        if (envelope.isRedeliver()) again.add(body);
        channel.basicAck(envelope.getDeliveryTag(), false);
        if (received.add(i)) all.countDown();
      }
    });
    if (!all.await(60, TimeUnit.SECONDS)) throw new IOException("received only " + received.size());
    channel.basicCancel(tag);
    System.out.println("received " + received.size() + " again " + String.join(",", again));
  }
}
