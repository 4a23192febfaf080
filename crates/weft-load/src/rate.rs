//! A constant rate, open loop: a request is due whether or not the last was answered, and its latency counts from when it was due. So
//! nothing is left out while an answer is late: the requests behind it wait on their connection, and their waiting counts.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::timeout;

use crate::Failure;
use crate::arguments::Arguments;
use crate::clock::{self, Alarm};
use crate::http1::Connection;
use crate::latency::Latencies;
use crate::pace;

/// How long after the end a late answer is waited for. What has none then has failed.
const GRACE: Duration = Duration::from_secs(5);

pub(crate) async fn run(arguments: &Arguments) -> Result<Value, Failure> {
    let latencies = Rc::new(RefCell::new(Latencies::default()));
    let (queues, tasks) = connect(arguments, &latencies).await?;
    let mut alarm = Alarm::new()?;
    let began = clock::now();
    let mut asked = 0;
    for request in pace::schedule(arguments.rate, arguments.time, arguments.connections) {
        let due = began + request.after;
        alarm.until(due).await?;
        let _ = queues[request.connection].send(due);
        asked += 1;
    }
    drop(queues);
    let _ = timeout(GRACE, async {
        for task in tasks {
            let _ = task.await;
        }
    })
    .await;
    let latencies = latencies.take();
    let failed = asked - latencies.count();
    Ok(latencies.report(failed))
}

type Queues = Vec<UnboundedSender<Instant>>;

/// All connections, open and used once, so that the first of them is like the last.
async fn connect(arguments: &Arguments, latencies: &Rc<RefCell<Latencies>>) -> Result<(Queues, Vec<JoinHandle<()>>), Failure> {
    let (mut queues, mut tasks) = (Vec::new(), Vec::new());
    for _ in 0..arguments.connections {
        let mut connection = Connection::open(arguments).await?;
        connection.ask(&Cell::new(0)).await?;
        let (queue, due) = unbounded_channel();
        queues.push(queue);
        let (arguments, latencies) = (arguments.clone(), latencies.clone());
        tasks.push(spawn_local(async move {
            if let Err(problem) = carry(&arguments, connection, due, &latencies).await {
                eprintln!("weft-load: a connection is given up: {problem}");
            }
        }));
    }
    Ok((queues, tasks))
}

/// Sends what is due on this connection, in order. After a failure on a new one; fails when there is none.
async fn carry(
    arguments: &Arguments,
    mut connection: Connection,
    mut due: UnboundedReceiver<Instant>,
    latencies: &RefCell<Latencies>,
) -> io::Result<()> {
    while let Some(due) = due.recv().await {
        match connection.ask(&Cell::new(0)).await {
            Ok(()) => latencies.borrow_mut().add(clock::now() - due),
            Err(_) => connection = Connection::open(arguments).await?,
        }
    }
    Ok(())
}
