# The scenario of clients.engine.test.ts with pika: python3 pika-scenario.py URL QUEUE
import sys
import pika

url, queue = sys.argv[1:3]
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
channel.queue_declare(queue, durable=True)
channel.confirm_delivery()
for i in range(100):
    properties = pika.BasicProperties(delivery_mode=2, headers={"i": i})
    channel.basic_publish("", queue, f"m{i}".encode(), properties, mandatory=True)
print("confirmed 100")

try:
    channel.basic_publish("", f"{queue}-nowhere", b"x", mandatory=True)
except pika.exceptions.UnroutableError as error:
    print("returned", error.messages[0].method.reply_text)

channel.basic_qos(prefetch_count=10)
received = []
again = []
for method, properties, body in channel.consume(queue, inactivity_timeout=60):
    if method is None:
        raise SystemExit("nothing came")
    if body == b"m5" and not method.redelivered:
        channel.basic_nack(method.delivery_tag, requeue=True)
        continue
    assert body.decode() == f"m{properties.headers['i']}"
    received.append(properties.headers["i"])
    if method.redelivered:
        again.append(body.decode())
    channel.basic_ack(method.delivery_tag)
    if len(received) == 100:
        break
channel.cancel()
print("received", len(set(received)), "again", ",".join(again))
print("left", channel.queue_declare(queue, passive=True).method.message_count)
channel.queue_delete(queue)
try:
    channel.queue_declare(queue, passive=True)
except pika.exceptions.ChannelClosedByBroker as error:
    print("closed", error.reply_code, error.reply_text)
connection.close()
print("end")
