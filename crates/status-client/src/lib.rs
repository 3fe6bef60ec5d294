//! Asks a broker how its pair stands: `GET /v1/pair` on its HTTP port, once or waiting there for a change.
//!
//! What comes back is that broker's word. No answer says nothing: a process that hangs, or a network that
//! is cut, looks like a dead one from here. It never follows a redirection and never sends anything but
//! this one question.

mod page;

use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

pub use page::{LastTransition, Link, Page};

/// The answer is about a kilobyte.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// A living broker's machine answers at once, or not at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// An answer that need not wait comes at once.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a question got no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens, or not in time.
    #[error("no connection: {0}")]
    Connect(String),
    /// The answer broke off, or did not come in time.
    #[error("no whole answer: {0}")]
    Answer(String),
    /// Who answers is no broker, or not the one that was meant.
    #[error("{0}")]
    NotOurs(String),
}

/// A question that the broker answers as soon as it has something newer, or when its time is over.
#[derive(Clone, Copy, Debug)]
pub struct Newer {
    /// Number of the page that is known.
    pub than: u64,
    /// How long the broker shall wait for a change. A broker that hangs is noticed that much later.
    pub within: Duration,
}

/// One question; with `newer` it waits there for a change.
pub async fn ask(host: &str, port: u16, newer: Option<Newer>) -> Result<Page, AskError> {
    let limit = newer.map_or(ANSWER_TIMEOUT, |newer| newer.within + ANSWER_TIMEOUT);
    match tokio::time::timeout(limit, exchange(host, port, newer)).await {
        Ok(page) => page,
        Err(_) => Err(AskError::Answer("it took too long".to_owned())),
    }
}

/// The same, of an address as a side leaves it for the other: `host:port`.
pub async fn ask_at(address: &str) -> Result<Page, AskError> {
    let parts = address.rsplit_once(':');
    let parts = parts.and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    let Some((host, port)) = parts else {
        return Err(AskError::Connect(format!("{address:?} is no host:port")));
    };
    ask(host, port, None).await
}

async fn exchange(host: &str, port: u16, newer: Option<Newer>) -> Result<Page, AskError> {
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
    let query = newer.map_or_else(String::new, |Newer { than, within }| {
        format!("?after={than}&wait_ms={}", within.as_millis())
    });
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

    /// Answers one question with this text; gives back its first line.
    async fn answer_once(listener: &TcpListener, text: &str) -> String {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut buffer = [0; 1024];
        let count = stream.read(&mut buffer).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let question = String::from_utf8_lossy(&buffer[..count]).into_owned();
        question.lines().next().unwrap().to_owned()
    }

    #[tokio::test]
    async fn one_question_has_one_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let good = "HTTP/1.1 200 OK\r\ncontent-length: 17\r\n\r\n{\"side\":\"backup\"}";
        let (question, page) = tokio::join!(answer_once(&listener, good), ask_at(&address));
        assert_eq!(question, "GET /v1/pair HTTP/1.1");
        assert!(page.unwrap().is_of(pair::Side::Backup));

        let port = listener.local_addr().unwrap().port();
        let gone = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
        let newer = Newer {
            than: 4,
            within: Duration::from_secs(1),
        };
        let asking = ask("127.0.0.1", port, Some(newer));
        let (question, page) = tokio::join!(answer_once(&listener, gone), asking);
        assert_eq!(question, "GET /v1/pair?after=4&wait_ms=1000 HTTP/1.1");
        assert!(matches!(page, Err(AskError::NotOurs(_))), "{page:?}");
    }

    #[tokio::test]
    async fn who_accepts_and_says_nothing_is_not_waited_for_long() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let page = ask_at(&address).await;
        assert!(matches!(page, Err(AskError::Answer(_))), "{page:?}");
        let page = ask_at("nowhere").await;
        assert!(matches!(page, Err(AskError::Connect(_))), "{page:?}");
    }
}
