<?php
// The scenario of clients.engine.test.ts with php-amqplib: php php-amqplib.php URL QUEUE
require '/usr/share/php/PhpAmqpLib/autoload.php';

use PhpAmqpLib\Connection\AMQPStreamConnection;
use PhpAmqpLib\Exception\AMQPProtocolChannelException;
use PhpAmqpLib\Message\AMQPMessage;
use PhpAmqpLib\Wire\AMQPTable;

[, $url, $queue] = $argv;
$at = parse_url($url);
$connection = new AMQPStreamConnection($at['host'], $at['port'], 'guest', 'guest');
$channel = $connection->channel();
$channel->queue_declare($queue, false, true, false, false);
$channel->confirm_select();
$confirmed = 0;
$channel->set_ack_handler(function () use (&$confirmed) { $confirmed += 1; });
for ($i = 0; $i < 100; $i += 1) {
    $properties = ['delivery_mode' => 2, 'application_headers' => new AMQPTable(['i' => $i])];
    $channel->basic_publish(new AMQPMessage("m$i", $properties), '', $queue);
}
$channel->wait_for_pending_acks(60);
echo "confirmed $confirmed\n";

$channel->set_return_listener(function ($code, $text) { echo "returned $text\n"; });
$channel->basic_publish(new AMQPMessage('x'), '', "$queue-nowhere", true);
$channel->wait_for_pending_acks_returns(60);

$channel->basic_qos(0, 10, false);
$received = [];
$again = [];
$channel->basic_consume($queue, 't', false, false, false, false, function ($message) use (&$received, &$again) {
    $i = $message->get('application_headers')->getNativeData()['i'];
    if ($message->getBody() === 'm5' && !$message->isRedelivered()) {
        $message->nack(true);
        return;
    }
    if ($message->getBody() !== "m$i") exit("the header does not belong to the body\n");
    $received[$i] = true;
    if ($message->isRedelivered()) $again[] = $message->getBody();
    $message->ack();
});
while (count($received) < 100) $channel->wait(null, false, 60);
$channel->basic_cancel('t');
echo 'received ', count($received), ' again ', implode(',', $again), "\n";
[, $left] = $channel->queue_declare($queue, true);
echo "left $left\n";
$channel->queue_delete($queue);
try {
    $channel->queue_declare($queue, true);
} catch (AMQPProtocolChannelException $error) {
    echo "closed {$error->amqp_reply_code} {$error->amqp_reply_text}\n";
}
$connection->close();
echo "end\n";
