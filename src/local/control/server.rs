//! The supervisor's end of the control socket.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

use pair::Side;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};

use super::{MAX_ORDER_BYTES, Order, Reply, Target};
use crate::by_side::SIDES;
use crate::local::event::Event;
use crate::local::record::Word;
use crate::local::state_dir::StateDir;
use crate::local::supervisor::{Handle, NotDone, Request};
use crate::local::time::clock;

/// An order is sent at once by a program, not typed.
const ORDER_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause after a connection could not be accepted, so that a lasting reason does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Opens the socket of a pair and answers until it is dropped.
pub(crate) fn serve(
    dir: &StateDir,
    handle: Handle,
) -> io::Result<impl Future<Output = ()> + use<>> {
    // A socket's path has at most 107 bytes; through an open folder it is short wherever that is.
    let folder = File::open(dir.root())?;
    let name = dir.socket();
    let name = name
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let listener = UnixListener::bind(format!("/proc/self/fd/{}/{name}", folder.as_raw_fd()))?;
    Ok(accept(listener, handle))
}

async fn accept(listener: UnixListener, handle: Handle) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let handle = handle.clone();
                // Each ends within its timeouts.
                tokio::spawn(async move {
                    let _ = answer(stream, &handle).await;
                });
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn answer(stream: UnixStream, handle: &Handle) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    let mut read = BufReader::new(read.take(MAX_ORDER_BYTES));
    tokio::time::timeout(ORDER_TIMEOUT, read.read_line(&mut line)).await??;
    let order = match serde_json::from_str::<Order>(&line) {
        Ok(order) => order,
        Err(error) => {
            let why = format!("the order is not understood: {error}");
            return say(&mut write, &Reply::Refused(why)).await;
        }
    };
    let limit = ORDER_TIMEOUT + order.limit();
    tokio::time::timeout(limit, carry_out_aloud(&order, handle, &mut write)).await??;
    write.shutdown().await
}

/// Carries an order out, and says what happens meanwhile if that can take a while.
async fn carry_out_aloud(
    order: &Order,
    handle: &Handle,
    write: &mut OwnedWriteHalf,
) -> io::Result<()> {
    let is_aloud = matches!(order, Order::Switchover { .. } | Order::Force { .. });
    let mut events = handle.events();
    let reply = {
        let carried_out = carry_out(order, handle);
        tokio::pin!(carried_out);
        loop {
            tokio::select! {
                biased;
                Ok(event) = events.recv(), if is_aloud => say(write, &happened(&event)).await?,
                reply = &mut carried_out => break reply,
            }
        }
    };
    while let (true, Ok(event)) = (is_aloud, events.try_recv()) {
        say(write, &happened(&event)).await?;
    }
    say(write, &reply).await
}

fn happened(event: &Event) -> Reply {
    let who = event.what.side().map_or("pair", Side::as_str);
    Reply::Happened(format!("{}  {who:7}  {}", clock(event.at), event.what))
}

async fn say(write: &mut OwnedWriteHalf, reply: &Reply) -> io::Result<()> {
    let mut text = serde_json::to_string(reply).map_err(io::Error::other)?;
    text.push('\n');
    write.write_all(text.as_bytes()).await
}

async fn carry_out(order: &Order, handle: &Handle) -> Reply {
    let requests = match requests(order, handle) {
        Ok(requests) => requests,
        Err(why) => return Reply::Refused(why),
    };
    if requests.is_empty() {
        return Reply::Status(Box::new(handle.snapshot.borrow().clone()));
    }
    let mut done = Vec::new();
    for request in requests {
        match handle.ask(request).await {
            Ok(text) => done.push(text),
            Err(NotDone::Refused(why)) => return Reply::Refused(why),
            Err(NotDone::Late(why)) => return Reply::Late(why),
        }
    }
    Reply::Done(done.join("\n"))
}

/// What an order means right now; nothing for the status.
fn requests(order: &Order, handle: &Handle) -> Result<Vec<Request>, String> {
    match order {
        Order::Status => Ok(Vec::new()),
        Order::Kill { target, restart } => {
            let sides = sides(*target, handle)?;
            Ok(sides
                .into_iter()
                .map(|side| Request::Kill {
                    side,
                    restart: *restart,
                })
                .collect())
        }
        Order::Switchover { to, limit_ms } => Ok(vec![Request::Switchover {
            to: *to,
            limit_ms: *limit_ms,
        }]),
        Order::Force {
            to,
            by,
            accepts_data_loss,
            limit_ms,
        } => Ok(vec![Request::Force {
            to: *to,
            word: Word {
                by: by.clone(),
                accepts_data_loss: *accepts_data_loss,
            },
            limit_ms: *limit_ms,
        }]),
        Order::Stop {
            target: Target::Pair,
        } => Ok(vec![Request::StopPair]),
        Order::Stop { target } => Ok(sides(*target, handle)?
            .into_iter()
            .map(Request::Stop)
            .collect()),
        Order::Start {
            target: Some(target),
        } => Ok(sides(*target, handle)?
            .into_iter()
            .map(Request::Start)
            .collect()),
        Order::Start { target: None } => {
            let snapshot = handle.snapshot.borrow();
            let is_down = |side: &Side| {
                snapshot
                    .side(*side)
                    .is_some_and(|snapshot| snapshot.pid.is_none())
            };
            let down: Vec<Request> = SIDES
                .into_iter()
                .filter(is_down)
                .map(Request::Start)
                .collect();
            if down.is_empty() {
                Err("both brokers run already".to_owned())
            } else {
                Ok(down)
            }
        }
    }
}

fn sides(target: Target, handle: &Handle) -> Result<Vec<Side>, String> {
    let active = || -> Result<Side, String> {
        let snapshot = handle.snapshot.borrow();
        let name = snapshot
            .active
            .as_ref()
            .ok_or("no broker is active right now")?;
        name.parse()
            .map_err(|error: pair::BadSide| error.to_string())
    };
    Ok(match target {
        Target::Primary => vec![Side::Primary],
        Target::Backup => vec![Side::Backup],
        Target::Active => vec![active()?],
        Target::Standby => vec![active()?.other()],
        Target::Pair => SIDES.into(),
    })
}
