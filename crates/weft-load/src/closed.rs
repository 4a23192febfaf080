//! A closed loop: every connection asks again as soon as it was answered, until the time is over. Counts answers, their latencies and
//! the bytes of their bodies; a body under way at the end counts as far as it came.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::timeout_at;

use crate::Failure;
use crate::arguments::Arguments;
use crate::clock;
use crate::http1::Connection;
use crate::latency::Latencies;

pub(crate) async fn run(arguments: &Arguments) -> Result<Value, Failure> {
    let found = Rc::new(Found::default());
    let mut connections = Vec::new();
    for _ in 0..arguments.connections {
        connections.push(Connection::open(arguments).await?);
    }
    let began = clock::now();
    let end = (began + arguments.time).into();
    let mut tasks = JoinSet::new();
    for connection in connections {
        let (arguments, found) = (arguments.clone(), found.clone());
        tasks.spawn_local(async move {
            let _ = timeout_at(end, ask(&arguments, connection, &found)).await;
        });
    }
    tasks.join_all().await;
    let mut said = found.latencies.take().report(found.failed.get());
    said["bytes"] = found.bytes.get().into();
    said["seconds"] = (clock::now() - began).as_secs_f64().into();
    Ok(said)
}

#[derive(Default)]
struct Found {
    latencies: RefCell<Latencies>,
    failed: Cell<usize>,
    bytes: Cell<u64>,
}

/// Until it is dropped, or a connection cannot be replaced.
async fn ask(arguments: &Arguments, mut connection: Connection, found: &Found) {
    loop {
        let asked = clock::now();
        if connection.ask(&found.bytes).await.is_ok() {
            found.latencies.borrow_mut().add(clock::now() - asked);
            continue;
        }
        found.failed.set(found.failed.get() + 1);
        match Connection::open(arguments).await {
            Ok(fresh) => connection = fresh,
            Err(_) => return,
        }
    }
}
