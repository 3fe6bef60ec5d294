//! What a broker says of itself: `GET /v1/pair` on its HTTP port, waiting there for each change.

use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use pair::{Cause, Side};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::policy::{Broker, Observed, Role};

/// The answer is about a kilobyte.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// A broker on the same machine answers at once, or not at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Longer than the broker lets a question wait for a change (25 s).
const ANSWER_TIMEOUT: Duration = Duration::from_secs(35);
/// A first answer comes at once.
const FIRST_ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// Pause after a question that got no answer: short, for a broker starts in a few of these.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// What a broker answers. Fields this program does not know are left alone, those it misses are
/// empty: the two programs may differ in version.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Answer {
    /// Grows with every change.
    pub(crate) n: u64,
    /// `primary` or `backup`.
    pub(crate) side: String,
    /// Its role by name.
    pub(crate) role: String,
    /// Whether a healthy pair stays in that role.
    pub(crate) settled: bool,
    /// Epoch of the record it saw last.
    pub(crate) epoch: u64,
    /// When it got its role, Unix milliseconds.
    pub(crate) since_ms: u64,
    /// What its role means right now.
    pub(crate) why: String,
    /// The pair's last change of the active broker.
    pub(crate) last: Option<LastTransition>,
    /// Its process.
    pub(crate) pid: u32,
    /// Messages in all queues, if it serves.
    pub(crate) messages: Option<u64>,
}

/// A change of the active broker.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct LastTransition {
    /// Why, as it is written in the record.
    #[serde(default)]
    pub(crate) cause: String,
    /// When, Unix milliseconds.
    #[serde(default)]
    pub(crate) at_ms: u64,
    /// How long nobody served, once that is known.
    #[serde(default)]
    pub(crate) gap_ms: Option<u64>,
}

impl LastTransition {
    /// Why.
    pub(crate) fn cause(&self) -> Cause {
        Cause::from(self.cause.clone())
    }
}

/// Why a question got no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// Nobody listens, or not in time.
    #[error("no connection: {0}")]
    Connect(String),
    /// The answer broke off.
    #[error("no whole answer: {0}")]
    Answer(String),
    /// It is not a broker of this pair.
    #[error("{0}")]
    NotOurs(String),
}

/// What is heard of one side.
#[derive(Debug)]
pub(crate) struct Heard {
    /// Whom.
    pub(crate) side: Side,
    /// The process that was asked.
    pub(crate) pid: u32,
    /// Its answer, or why there is none.
    pub(crate) answer: Result<Answer, AskError>,
}

impl Answer {
    /// What policy sees of it.
    pub(crate) fn broker(&self) -> Observed<Broker> {
        let Ok(role) = self.role.parse::<Role>() else {
            return Observed::Unknown {
                why: format!("it is in an unknown role, {:?}", self.role),
            };
        };
        Observed::Known(Broker {
            role,
            settled: self.settled,
            epoch: self.epoch,
            pid: self.pid,
        })
    }
}

/// Asks a broker, again and again, each time for something newer, and tells what it says. Ends when
/// nobody listens any more; dropped when the process has ended.
pub(crate) async fn watch(side: Side, pid: u32, address: (String, u16), tell: mpsc::Sender<Heard>) {
    let mut after = None;
    let mut was_silent = false;
    loop {
        let answer = ask(&address, after)
            .await
            .and_then(|answer| ours(answer, side, pid));
        let is_news = match &answer {
            Ok(answer) => after != Some(answer.n) || was_silent,
            Err(_) => !was_silent,
        };
        was_silent = answer.is_err();
        after = answer.as_ref().map(|answer| answer.n).ok();
        if is_news && tell.send(Heard { side, pid, answer }).await.is_err() {
            return;
        }
        if was_silent {
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }
}

/// Another process may have the port: an earlier broker that still ends, or a stranger.
fn ours(answer: Answer, side: Side, pid: u32) -> Result<Answer, AskError> {
    if answer.pid == pid && answer.side == side.as_str() {
        return Ok(answer);
    }
    Err(AskError::NotOurs(format!(
        "the {} with process {} answers on its HTTP port, not the {side} with process {pid}",
        answer.side, answer.pid
    )))
}

/// One question. With `after`, the broker answers as soon as it has something newer.
async fn ask(address: &(String, u16), after: Option<u64>) -> Result<Answer, AskError> {
    let limit = if after.is_some() {
        ANSWER_TIMEOUT
    } else {
        FIRST_ANSWER_TIMEOUT
    };
    match tokio::time::timeout(limit, exchange(address, after)).await {
        Ok(answer) => answer,
        Err(_) => Err(AskError::Answer("it took too long".to_owned())),
    }
}

async fn exchange(address: &(String, u16), after: Option<u64>) -> Result<Answer, AskError> {
    let (host, port) = (address.0.as_str(), address.1);
    let connect = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect((host, port)));
    let stream = match connect.await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(AskError::Connect(error.to_string())),
        Err(_) => return Err(AskError::Connect("it took too long".to_owned())),
    };
    let broken = |error: hyper::Error| AskError::Answer(error.to_string());
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let query = after.map_or_else(String::new, |n| format!("?after={n}"));
    let request = Request::get(format!("/v1/pair{query}"))
        .header("host", format!("{host}:{port}"))
        .body(Empty::<Bytes>::new())
        .map_err(|error| AskError::Answer(error.to_string()))?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(broken)?;
        if response.status() != StatusCode::OK {
            return Err(AskError::NotOurs(format!(
                "its HTTP port says {}",
                response.status()
            )));
        }
        let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES)
            .collect()
            .await;
        let body = body
            .map_err(|error| AskError::Answer(error.to_string()))?
            .to_bytes();
        serde_json::from_slice(&body)
            .map_err(|error| AskError::NotOurs(format!("its HTTP port says no JSON: {error}")))
    };
    // The connection must be polled for the answer to come; it ends with this question.
    tokio::pin!(answer);
    tokio::pin!(connection);
    tokio::select! {
        answer = &mut answer => answer,
        ended = &mut connection => match ended {
            Ok(()) => answer.await,
            Err(error) => Err(broken(error)),
        },
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn answers_of_other_versions_are_read() {
        let newer = r#"{"n":3,"side":"backup","role":"standby","settled":true,"epoch":2,
            "holder":{"side":"primary","inc":"00"},"link":{"open":false},"pid":7,
            "last":{"cause":"process-ended","at_ms":5,"by":"x"},"messages":null}"#;
        let answer: Answer = serde_json::from_str(newer).unwrap();
        assert_eq!(answer.last.as_ref().unwrap().cause(), Cause::ProcessEnded);
        let Observed::Known(broker) = answer.broker() else {
            panic!("it is known")
        };
        assert_eq!(
            (broker.role, broker.settled, broker.epoch),
            (Role::Standby, true, 2)
        );
        let unknown = Answer {
            role: "dreaming".to_owned(),
            ..Answer::default()
        };
        assert!(matches!(unknown.broker(), Observed::Unknown { .. }));
    }

    #[test]
    fn another_process_on_the_port_is_not_our_broker() {
        let answer = Answer {
            side: "primary".into(),
            pid: 8,
            ..Answer::default()
        };
        assert!(ours(answer.clone(), Side::Primary, 8).is_ok());
        assert!(ours(answer.clone(), Side::Primary, 9).is_err());
        assert!(ours(answer, Side::Backup, 8).is_err());
    }

    #[tokio::test]
    async fn each_question_asks_for_something_newer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, mut heard) = mpsc::channel(4);
        let server = async {
            let mut questions = Vec::new();
            for n in [4, 5] {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut buffer = [0; 1024];
                let count = stream.read(&mut buffer).await.unwrap();
                let question = String::from_utf8_lossy(&buffer[..count]).into_owned();
                questions.push(question.lines().next().unwrap().to_owned());
                let body = format!(r#"{{"n":{n},"side":"primary","role":"serving","pid":1}}"#);
                let reply = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                stream
                    .write_all(format!("{reply}{body}").as_bytes())
                    .await
                    .unwrap();
            }
            questions
        };
        let watching = tokio::spawn(watch(Side::Primary, 1, ("127.0.0.1".into(), port), tell));
        let questions = tokio::time::timeout(Duration::from_secs(10), server)
            .await
            .unwrap();
        assert_eq!(
            questions,
            ["GET /v1/pair HTTP/1.1", "GET /v1/pair?after=4 HTTP/1.1"]
        );
        for n in [4, 5] {
            assert_eq!(heard.recv().await.unwrap().answer.unwrap().n, n);
        }
        watching.abort();
    }
}
