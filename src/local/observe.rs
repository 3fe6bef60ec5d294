//! What a broker says of itself: `GET /v1/pair` on its HTTP port, waiting there for each change.

use std::time::Duration;

use pair::Side;
use status_client::{AskError, Newer, Page, ask};
use tokio::sync::mpsc;

use crate::policy::{Broker, Link, Observed, Role};

/// Pause after a question that got no answer: short, for a broker starts in a few of these.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// How long a broker shall wait for a change. Short, for one that hangs still looks as it did until its answer is
/// overdue; a question costs it next to nothing.
const CHANGE_WAIT: Duration = Duration::from_secs(1);

/// What is heard of one side.
#[derive(Debug)]
pub(crate) struct Heard {
    /// Whom.
    pub(crate) side: Side,
    /// The process that was asked.
    pub(crate) pid: u32,
    /// Its answer, or why there is none.
    pub(crate) answer: Result<Page, AskError>,
}

/// What policy sees of a broker by its page.
pub(crate) fn broker(page: &Page) -> Observed<Broker> {
    let Ok(role) = page.role.parse::<Role>() else {
        return Observed::Unknown {
            why: format!("it is in an unknown role, {:?}", page.role),
        };
    };
    Observed::Known(Broker {
        role,
        settled: page.settled,
        epoch: page.epoch,
        pid: page.pid,
        member: page.member_id().to_owned(),
        link: if page.link.connected {
            Link::Up
        } else {
            Link::Down(page.link.trouble.clone())
        },
        why: page.why.clone(),
    })
}

/// Asks a broker, again and again, each time for something newer, and tells what it says. Ends when
/// nobody listens any more; dropped when the process has ended.
pub(crate) async fn watch(side: Side, pid: u32, address: (String, u16), tell: mpsc::Sender<Heard>) {
    let mut after = None;
    let mut was_silent = false;
    loop {
        let newer = after.map(|than| Newer {
            than,
            within: CHANGE_WAIT,
        });
        let answer = ask(&address.0, address.1, newer)
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
fn ours(answer: Page, side: Side, pid: u32) -> Result<Page, AskError> {
    if answer.pid == pid && answer.is_of(side) {
        return Ok(answer);
    }
    Err(AskError::NotOurs(format!(
        "the {} with process {} answers on its HTTP port, not the {side} with process {pid}",
        answer.side, answer.pid
    )))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn a_role_that_is_not_known_says_nothing_of_the_broker() {
        let standby = Page {
            role: "standby".to_owned(),
            settled: true,
            epoch: 2,
            ..Page::default()
        };
        let Observed::Known(seen) = broker(&standby) else {
            panic!("it is known")
        };
        assert_eq!(
            (seen.role, seen.settled, seen.epoch),
            (Role::Standby, true, 2)
        );
        let unknown = Page {
            role: "dreaming".to_owned(),
            ..standby
        };
        assert!(matches!(broker(&unknown), Observed::Unknown { .. }));
    }

    #[test]
    fn another_process_on_the_port_is_not_our_broker() {
        let answer = Page {
            side: "primary".into(),
            pid: 8,
            ..Page::default()
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
            [
                "GET /v1/pair HTTP/1.1",
                "GET /v1/pair?after=4&wait_ms=1000 HTTP/1.1"
            ]
        );
        for n in [4, 5] {
            assert_eq!(heard.recv().await.unwrap().answer.unwrap().n, n);
        }
        watching.abort();
    }
}
