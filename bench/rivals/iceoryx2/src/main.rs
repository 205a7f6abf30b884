// iceoryx2, publish and subscribe, as the contestants in C are: `flow|ping BODY_BYTES ends`, then a number of messages or round
// trips a line on standard input, and a line of results for each on standard output (bench/rivals/c/rival.c). The producer of a
// flow, and the one who plays balls back, is a process of its own. Both sides spin; the payload is written in place
// and read in place.

use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;
use std::io::{BufRead, Write};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

const BODY_BYTES: usize = 64;
/// Messages that may wait: about as many as a lane of 1 MiB holds.
const BUFFER: usize = 8192;
/// Round trips that one look at the clock covers.
const TRIPS_A_TIME: u64 = 100;

type Body = [u8; BODY_BYTES];
type Failure = Box<dyn core::error::Error>;
type Sender = Publisher<ipc::Service, Body, ()>;
type Receiver = Subscriber<ipc::Service, Body, ()>;

fn make_node() -> Result<Node<ipc::Service>, Failure> {
    Ok(NodeBuilder::new().create::<ipc::Service>()?)
}

/// Lossless: a publisher whose subscriber has no room waits.
fn service(
    node: &Node<ipc::Service>,
    name: &str,
) -> Result<iceoryx2::service::port_factory::publish_subscribe::PortFactory<ipc::Service, Body, ()>, Failure> {
    Ok(node
        .service_builder(&name.try_into()?)
        .publish_subscribe::<Body>()
        .enable_safe_overflow(false)
        .subscriber_max_buffer_size(BUFFER)
        .history_size(0)
        .open_or_create()?)
}

fn sender(node: &Node<ipc::Service>, name: &str) -> Result<Sender, Failure> {
    Ok(service(node, name)?
        .publisher_builder()
        .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
        .create()?)
}

fn receiver(node: &Node<ipc::Service>, name: &str) -> Result<Receiver, Failure> {
    Ok(service(node, name)?.subscriber_builder().buffer_size(BUFFER).create()?)
}

fn put(to: &Sender, sequence: u32) -> Result<(), Failure> {
    let mut body = [1u8; BODY_BYTES];
    body[..4].copy_from_slice(&sequence.to_le_bytes());
    to.loan_uninit()?.write_payload(body).send()?;
    Ok(())
}

/// Spins until a message is there; @returns its number, once both ends were looked at.
fn take(from: &Receiver) -> Result<u32, Failure> {
    loop {
        if let Some(sample) = from.receive()? {
            let sequence = u32::from_le_bytes([sample[0], sample[1], sample[2], sample[3]]);
            if sample[BODY_BYTES - 1] != 1 {
                return Err("a damaged message".into());
            }
            return Ok(sequence);
        }
    }
}

/// The other process: a number of messages or balls a line, and its CPU time in nanoseconds when they are done.
fn far(mode: &str, name: &str) -> Result<(), Failure> {
    // Not longer than whoever measures.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    let node = make_node()?;
    let there = format!("{name}/there");
    let (outgoing, incoming) = match mode {
        "flow" => (sender(&node, &there)?, None),
        _ => (sender(&node, &format!("{name}/back"))?, Some(receiver(&node, &there)?)),
    };
    println!("0");
    for line in std::io::stdin().lock().lines() {
        let count: u64 = line?.trim().parse()?;
        let before = cpu_ns();
        for sequence in 0..count {
            match &incoming {
                None => put(&outgoing, sequence as u32)?,
                Some(from) => put(&outgoing, take(from)?)?,
            }
        }
        println!("{}", cpu_ns() - before);
    }
    Ok(())
}

fn cpu_ns() -> u64 {
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) };
    let of = |time: libc::timeval| time.tv_sec as u64 * 1_000_000_000 + time.tv_usec as u64 * 1000;
    of(usage.ru_utime) + of(usage.ru_stime)
}

struct Far {
    child: Child,
    answers: std::io::Lines<std::io::BufReader<std::process::ChildStdout>>,
}

impl Far {
    fn start(mode: &str, name: &str) -> Result<Far, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["far", mode, name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or("no output")?;
        let mut far = Far { child, answers: std::io::BufReader::new(output).lines() };
        far.answer()?;
        Ok(far)
    }

    fn tell(&mut self, count: u64) -> Result<(), Failure> {
        Ok(writeln!(self.child.stdin.as_mut().ok_or("no input")?, "{count}")?)
    }

    fn answer(&mut self) -> Result<String, Failure> {
        Ok(self.answers.next().ok_or("the far side ended")??)
    }
}

fn flow(from: &Receiver, far: &mut Far, count: u64) -> Result<String, Failure> {
    let before = cpu_ns();
    far.tell(count)?;
    let mut started = Instant::now();
    for expected in 0..count {
        let sequence = take(from)?;
        if sequence != expected as u32 {
            return Err(format!("expected message {expected}, got {sequence}").into());
        }
        if expected == 0 {
            started = Instant::now();
        }
    }
    let took = started.elapsed().as_nanos();
    Ok(format!("flow {count} {took} {} {}", cpu_ns() - before, far.answer()?))
}

fn ping(to: &Sender, from: &Receiver, far: &mut Far, count: u64) -> Result<String, Failure> {
    let before = cpu_ns();
    let times = count.div_ceil(TRIPS_A_TIME);
    far.tell(times * TRIPS_A_TIME)?;
    let mut took = Vec::with_capacity(times as usize);
    for _ in 0..times {
        let started = Instant::now();
        for _ in 0..TRIPS_A_TIME {
            put(to, 1)?;
            take(from)?;
        }
        took.push(started.elapsed().as_nanos() as f64 / TRIPS_A_TIME as f64);
    }
    took.sort_by(f64::total_cmp);
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
    let trips = times * TRIPS_A_TIME;
    Ok(format!("ping {trips} {:.1} {:.1} {} {}", at(0.5), at(0.99), cpu_ns() - before, far.answer()?))
}

fn main() -> Result<(), Failure> {
    set_log_level(LogLevel::Error);
    let arguments: Vec<String> = std::env::args().collect();
    let text = |index: usize| arguments.get(index).map(String::as_str).unwrap_or_default();
    if text(1) == "far" {
        return far(text(2), text(3));
    }
    if text(2) != BODY_BYTES.to_string() {
        return Err(format!("usage: flow|ping {BODY_BYTES} ends").into());
    }
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    let name = format!("naru-bench/{}", std::process::id());
    let node = make_node()?;
    let is_flow = text(1) == "flow";
    let incoming = receiver(&node, &format!("{name}/{}", if is_flow { "there" } else { "back" }))?;
    let outgoing = if is_flow { None } else { Some(sender(&node, &format!("{name}/there"))?) };
    let mut other = Far::start(text(1), &name)?;
    for line in std::io::stdin().lock().lines() {
        let count: u64 = line?.trim().parse()?;
        let results = match &outgoing {
            None => flow(&incoming, &mut other, count)?,
            Some(to) => ping(to, &incoming, &mut other, count)?,
        };
        println!("{results}");
        std::io::stdout().flush()?;
    }
    drop(other.child.stdin.take());
    other.child.wait()?;
    Ok(())
}
