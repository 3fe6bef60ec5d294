//! The record register in a Lease, against a fake API server: what leaves the process, and what each answer means.
#![expect(clippy::unwrap_used, reason = "the helpers of tests fail with them")]

use std::pin::pin;
use std::time::Duration;

use arbiter::lease::with_record;
use arbiter::{LeaseArbiter, Outcome};
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Client;
use kube::client::Body;
use pair::{Incarnation, Mode, Record, Side, WriteId};
use serde_json::{Value, json};
use tower_test::mock::{self, Handle, SendResponse};

type Server = Handle<Request<Body>, Response<Body>>;

/// A fake API server, and an arbiter that talks to it.
fn fake() -> (LeaseArbiter, Server) {
    let (service, handle) = mock::pair::<Request<Body>, Response<Body>>();
    let client = Client::new(service, "default");
    (LeaseArbiter::new(client, "shop", "orders"), handle)
}

fn first() -> Record {
    Record::first("node", Mode::SharedStore)
}

fn written(n: u64) -> Record {
    let inc = Incarnation([7; 16]);
    first().with_stopped(Side::Primary, WriteId { inc, n })
}

/// The Lease with that record as the API server keeps it.
fn stored(record: Option<&Record>, version: u64) -> Lease {
    let mut lease = Lease::default();
    lease.metadata.name = Some("orders".to_owned());
    lease.metadata.uid = Some("uid-1".to_owned());
    lease.metadata.resource_version = Some(version.to_string());
    record.map_or_else(
        || lease.clone(),
        |record| with_record(&lease, record).unwrap(),
    )
}

async fn asked(server: &mut Server) -> (Method, String, Value, SendResponse<Response<Body>>) {
    let (request, answer) = server.next_request().await.unwrap();
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    (head.method, head.uri.to_string(), body, answer)
}

fn says(answer: SendResponse<Response<Body>>, code: StatusCode, body: &Value) {
    let body = serde_json::to_vec(body).unwrap();
    let response = Response::builder().status(code).body(Body::from(body));
    answer.send_response(response.unwrap());
}

fn has(answer: SendResponse<Response<Body>>, lease: &Lease) {
    says(
        answer,
        StatusCode::OK,
        &serde_json::to_value(lease).unwrap(),
    );
}

fn refuses(answer: SendResponse<Response<Body>>, code: u16, reason: &str) {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code,
        "reason": reason, "message": format!("it says {reason}"),
        "details": {"name": "orders", "group": "coordination.k8s.io", "kind": "leases"},
    });
    says(answer, StatusCode::from_u16(code).unwrap(), &status);
}

/// Lets the arbiter know the Lease.
async fn read(arbiter: &LeaseArbiter, server: &mut Server, lease: &Lease) {
    let (found, ()) = tokio::join!(arbiter.read(), async {
        let (_, _, _, answer) = asked(server).await;
        has(answer, lease);
    });
    found.unwrap();
}

#[tokio::test]
async fn a_read_asks_for_the_newest_version() {
    let (arbiter, mut server) = fake();
    let (found, ()) = tokio::join!(arbiter.read(), async {
        let (method, uri, _, answer) = asked(&mut server).await;
        assert_eq!(method, Method::GET);
        // A resourceVersion would let it answer from a cache.
        assert_eq!(
            uri.trim_end_matches('?'),
            "/apis/coordination.k8s.io/v1/namespaces/shop/leases/orders"
        );
        has(answer, &stored(Some(&written(1)), 41));
    });
    let found = found.unwrap().unwrap();
    assert_eq!((found.version, found.record), (41, written(1)));
}

#[tokio::test]
async fn only_the_api_servers_own_no_means_missing() {
    let (arbiter, mut server) = fake();
    let (found, ()) = tokio::join!(arbiter.read(), async {
        let (_, _, _, answer) = asked(&mut server).await;
        refuses(answer, 404, "NotFound");
    });
    assert!(found.unwrap().is_none());
    for (code, reason) in [
        (403, "Forbidden"),
        (401, "Unauthorized"),
        (500, "InternalError"),
    ] {
        let (found, ()) = tokio::join!(arbiter.read(), async {
            let (_, _, _, answer) = asked(&mut server).await;
            refuses(answer, code, reason);
        });
        let text = found.unwrap_err().to_string();
        assert!(text.contains(&format!("it says {reason}")), "{text}");
    }
    // A proxy that knows nothing of Leases.
    let (found, ()) = tokio::join!(arbiter.read(), async {
        let (_, _, _, answer) = asked(&mut server).await;
        says(answer, StatusCode::NOT_FOUND, &json!("404 page not found"));
    });
    assert!(found.is_err());
}

#[tokio::test]
async fn a_refusal_names_what_the_account_lacks() {
    let (arbiter, mut server) = fake();
    let (found, ()) = tokio::join!(arbiter.read(), async {
        let (_, _, _, answer) = asked(&mut server).await;
        refuses(answer, 403, "Forbidden");
    });
    let text = found.unwrap_err().to_string();
    assert!(
        text.contains("needs get, watch and update of the lease orders in namespace shop"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_without_an_answer_is_given_up_within_a_second() {
    let (arbiter, mut server) = fake();
    let begun = tokio::time::Instant::now();
    let (found, _kept) = tokio::join!(arbiter.read(), async { asked(&mut server).await });
    assert!(found.unwrap_err().to_string().contains("within 1000 ms"));
    assert_eq!(begun.elapsed(), Duration::from_secs(1));
}

#[tokio::test]
async fn a_write_names_the_version_and_the_object_it_is_based_on() {
    let (arbiter, mut server) = fake();
    read(&arbiter, &mut server, &stored(Some(&first()), 41)).await;
    let record = written(1);
    let (outcome, ()) = tokio::join!(arbiter.cas(41, &record), async {
        let (method, uri, body, answer) = asked(&mut server).await;
        assert_eq!(method, Method::PUT);
        assert!(uri.contains("/leases/orders"), "{uri}");
        assert_eq!(body["metadata"]["resourceVersion"], "41");
        assert_eq!(body["metadata"]["uid"], "uid-1");
        has(answer, &stored(Some(&record), 42));
    });
    assert!(
        matches!(outcome, Outcome::Won { version: 42 }),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_conflict_is_a_conflict() {
    let (arbiter, mut server) = fake();
    read(&arbiter, &mut server, &stored(Some(&first()), 41)).await;
    let record = written(1);
    let (outcome, ()) = tokio::join!(arbiter.cas(41, &record), async {
        let (_, _, _, answer) = asked(&mut server).await;
        refuses(answer, 409, "Conflict");
    });
    assert!(matches!(outcome, Outcome::Conflict), "{outcome:?}");
    // What it knew is not the newest: it looks before it writes on another version.
    let (outcome, ()) = tokio::join!(arbiter.cas(41, &record), async {
        let (method, _, _, answer) = asked(&mut server).await;
        assert_eq!(method, Method::GET);
        has(answer, &stored(Some(&first()), 43));
    });
    assert!(matches!(outcome, Outcome::Conflict), "{outcome:?}");
}

/// A1 and A2: the first try lands and its answer is lost; the second collides with it. Neither is a "no".
#[tokio::test(start_paused = true)]
async fn a_retry_that_collides_with_its_own_success_is_found_by_its_mark() {
    let (arbiter, mut server) = fake();
    read(&arbiter, &mut server, &stored(Some(&first()), 41)).await;
    let record = written(1);
    let (outcome, kept) =
        tokio::join!(arbiter.cas(41, &record), async { asked(&mut server).await });
    assert!(matches!(outcome, Outcome::Unknown(_)), "{outcome:?}");
    let (outcome, ()) = tokio::join!(arbiter.cas(41, &record), async {
        let (method, _, body, answer) = asked(&mut server).await;
        assert_eq!(
            (method, &body),
            (Method::PUT, &kept.2),
            "the same write again"
        );
        refuses(answer, 409, "Conflict");
    });
    assert!(matches!(outcome, Outcome::Conflict), "{outcome:?}");
    let (found, ()) = tokio::join!(arbiter.read(), async {
        let (_, _, _, answer) = asked(&mut server).await;
        has(answer, &stored(Some(&record), 42));
    });
    assert_eq!(found.unwrap().unwrap().record.wid, record.wid);
}

/// An earlier try may have been let in: a refusal of a later one settles nothing.
#[tokio::test]
async fn a_refused_write_is_unknown() {
    let (arbiter, mut server) = fake();
    read(&arbiter, &mut server, &stored(Some(&first()), 41)).await;
    for (code, reason) in [
        (403, "Forbidden"),
        (422, "Invalid"),
        (503, "ServiceUnavailable"),
    ] {
        let record = written(1);
        let (outcome, ()) = tokio::join!(arbiter.cas(41, &record), async {
            let (_, _, _, answer) = asked(&mut server).await;
            refuses(answer, code, reason);
        });
        assert!(matches!(outcome, Outcome::Unknown(_)), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_lost_record_is_written_into_the_empty_lease() {
    let (arbiter, mut server) = fake();
    read(&arbiter, &mut server, &stored(None, 50)).await;
    let record = written(1);
    let (outcome, ()) = tokio::join!(arbiter.create(&record), async {
        let (method, _, body, answer) = asked(&mut server).await;
        assert_eq!(method, Method::PUT);
        assert_eq!(body["metadata"]["resourceVersion"], "50");
        has(answer, &stored(Some(&record), 51));
    });
    assert!(
        matches!(outcome, Outcome::Won { version: 51 }),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_first_record_makes_the_lease_and_never_replaces_one() {
    let (arbiter, mut server) = fake();
    let record = first();
    let (outcome, ()) = tokio::join!(arbiter.create(&record), async {
        let (_, _, _, answer) = asked(&mut server).await;
        refuses(answer, 404, "NotFound");
        let (method, _, _, answer) = asked(&mut server).await;
        assert_eq!(method, Method::POST);
        refuses(answer, 409, "AlreadyExists");
    });
    assert!(matches!(outcome, Outcome::Conflict), "{outcome:?}");
    read(&arbiter, &mut server, &stored(Some(&written(1)), 9)).await;
    // Known to hold a record: nothing is sent.
    let outcome = arbiter.create(&record).await;
    assert!(matches!(outcome, Outcome::Conflict), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn a_watch_hints_at_changes_and_at_its_own_end() {
    let (arbiter, mut server) = fake();
    read(&arbiter, &mut server, &stored(Some(&first()), 41)).await;
    let mut hints = 0;
    {
        let watch = arbiter.watch(|| hints += 1);
        let events = async {
            let (_, uri, _, answer) = asked(&mut server).await;
            assert!(uri.contains("watch=true"), "{uri}");
            assert!(
                uri.contains("fieldSelector=metadata.name%3Dorders"),
                "{uri}"
            );
            assert!(uri.contains("timeoutSeconds=200"), "{uri}");
            // What is known already is no news; the next one is.
            let event = |kind: &str, version| {
                let lease = serde_json::to_value(stored(Some(&first()), version)).unwrap();
                format!("{}\n", json!({"type": kind, "object": lease}))
            };
            let body = event("ADDED", 41) + &event("MODIFIED", 42);
            answer.send_response(Response::new(Body::from(body.into_bytes())));
            // It ends, and is begun again.
            let (_, _, _, answer) = asked(&mut server).await;
            refuses(answer, 500, "InternalError");
            let (_, _, _, _kept) = asked(&mut server).await;
        };
        let watch = pin!(watch);
        let events = pin!(events);
        futures_util::future::select(watch, events).await;
    }
    assert_eq!(hints, 2, "one change, one watch that broke");
}
