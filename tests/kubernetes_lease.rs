//! A pair whose record is in a Lease of a real API server, under load: kills, an API server that is away, a Lease that is deleted.
//!
//! The brokers are processes of this machine that take themselves for the pods `orders-primary-0` and `orders-backup-0`, with the rights
//! that a pair has.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::api_server::{ADMIN, ApiServer, BROKER};
use crate::support::duo::{Duo, Side, epoch, page, wait_until_in_sync};
use crate::support::namespace::in_own_network;
use crate::support::process::run;
use crate::support::traffic::Traffic;
use crate::support::{measured, programs, wait_for};

const LIMIT: Duration = Duration::from_mins(4);
const SOON: Duration = Duration::from_secs(15);
/// Messages after an event that show that clients go on.
const GOES_ON: usize = 100;

#[test]
fn kills_lose_nothing_and_services_follow() {
    let name = "kubernetes_lease::kills_lose_nothing_and_services_follow";
    in_own_network(name, LIMIT, |folder| {
        let api = ApiServer::start(folder);
        let mut duo = started(&api, folder);
        let traffic = Traffic::start();
        traffic.goes_on(GOES_ON, "at first");
        wait_until_labelled(&api, Side::Primary);

        let calm = version(&api);
        std::thread::sleep(Duration::from_secs(12));
        assert_eq!(version(&api), calm, "a healthy pair writes nothing");

        let mut gaps = Vec::new();
        for round in 1..=3 {
            let before = epoch(Side::Primary);
            let start = Instant::now();
            duo.kill(Side::Primary);
            duo.wait_until_serving(Side::Backup);
            traffic.goes_on(GOES_ON, &format!("after kill {round}"));
            gaps.push(traffic.longest_gap_ms(start));
            assert!(epoch(Side::Backup) > before, "a takeover is a new epoch");
            wait_until_labelled(&api, Side::Backup);

            duo.start_side(Side::Primary);
            duo.wait_until_serving(Side::Primary);
            duo.wait_until_standby(Side::Backup);
            traffic.goes_on(GOES_ON, &format!("after failback {round}"));
            wait_until_labelled(&api, Side::Primary);
            wait_until_in_sync();
        }
        let account = traffic.finish();
        measured(format_args!(
            "a Lease as arbiter, 3 kills and failbacks: {account}; client gaps at kills {gaps:?} ms"
        ));
    });
}

#[test]
fn an_api_server_that_is_away_stops_failover_and_nothing_else() {
    let name = "kubernetes_lease::an_api_server_that_is_away_stops_failover_and_nothing_else";
    in_own_network(name, LIMIT, |folder| {
        let mut api = ApiServer::start(folder);
        let mut duo = started(&api, folder);
        wait_until_in_sync();
        let traffic = Traffic::start();
        traffic.goes_on(GOES_ON, "at first");

        api.kill_server();
        wait_for(
            "the standby saying that it waits for the arbiter",
            SOON,
            || {
                let page = page(Side::Backup)?;
                (page["settled"] == false && page["why"].as_str()?.contains("arbiter"))
                    .then_some(())
            },
        );
        traffic.goes_on(GOES_ON, "while the API server is away");
        // Nobody takes over without it.
        duo.kill(Side::Primary);
        duo.stays_passive(Side::Backup, Duration::from_secs(5));
        api.start_server();
        duo.wait_until_serving(Side::Backup);
        traffic.goes_on(GOES_ON, "after it came back");
        traffic.finish();
    });
}

#[test]
fn a_deleted_lease_is_written_again_by_the_active() {
    let name = "kubernetes_lease::a_deleted_lease_is_written_again_by_the_active";
    in_own_network(name, LIMIT, |folder| {
        let api = ApiServer::start(folder);
        let mut duo = started(&api, folder);
        wait_until_in_sync();
        let traffic = Traffic::start();
        traffic.goes_on(GOES_ON, "at first");
        let before = epoch(Side::Primary);

        api.kubectl(&["delete", "lease", "orders", "-n", "shop"]);
        // What the operator does: brokers may create none.
        api.apply(&[json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": "orders", "namespace": "shop"},
        })]);
        wait_for("the record being in the Lease again", SOON, || {
            let lease = lease(&api);
            let epoch = lease["metadata"]["annotations"]["record.tandem.dev/epoch"].as_str()?;
            (epoch == before.to_string()).then_some(())
        });
        traffic.goes_on(GOES_ON, "after the record was lost");
        assert_eq!(epoch(Side::Primary), before, "the term goes on");
        wait_until_in_sync();
        duo.kill(Side::Primary);
        duo.wait_until_serving(Side::Backup);
        traffic.goes_on(GOES_ON, "after a kill");
        traffic.finish();
    });
}

/// The worksheet's pair with its record in the Lease `shop/orders`, at work.
fn started(api: &ApiServer, folder: &Path) -> Duo {
    let pods = ["orders-primary-0", "orders-backup-0"];
    let name = |name: &str| json!({"name": name, "namespace": "shop"});
    let mut objects = vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": name("orders-broker"),
            "rules": [
                {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "resourceNames": ["orders"],
                 "verbs": ["get", "watch", "update"]},
                {"apiGroups": [""], "resources": ["pods"], "resourceNames": pods, "verbs": ["get", "patch"]},
            ],
        }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": name("orders-broker"),
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "orders-broker"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User",
                          "name": "system:serviceaccount:shop:orders-broker"}],
        }),
    ];
    objects.extend(pods.map(|pod| {
        let container = json!({"name": "broker", "image": "tandem"});
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": name(pod),
               "spec": {"automountServiceAccountToken": false, "containers": [container]}})
    }));
    api.apply(&objects);

    let mut duo = Duo::create(folder);
    for side in [Side::Primary, Side::Backup] {
        let properties = duo.instance(side).file("etc/tandem.properties");
        let text = std::fs::read_to_string(&properties).expect("create writes it");
        std::fs::write(&properties, format!("{text}\narbiter=lease:shop/orders\n"))
            .expect("a file");
    }
    std::fs::remove_dir_all(duo.instance(Side::Primary).file("data/journal"))
        .expect("create makes it");
    let mut init = std::process::Command::new(programs::tandem_broker());
    init.args(["pair", "init"])
        .arg(duo.instance(Side::Primary).file(""))
        .env("KUBECONFIG", api.kubeconfig(ADMIN));
    let made = run(&mut init, SOON);
    assert!(made.status.success(), "{made:?}");
    for (side, pod) in [(Side::Primary, pods[0]), (Side::Backup, pods[1])] {
        duo.set_environment(side, "KUBECONFIG", api.kubeconfig(BROKER).into());
        duo.set_environment(side, "POD_NAME", pod.into());
        duo.set_environment(side, "POD_NAMESPACE", "shop".into());
    }
    duo.start();
    duo
}

fn lease(api: &ApiServer) -> Value {
    let text = api.kubectl(&["get", "lease", "orders", "-n", "shop", "-o", "json"]);
    serde_json::from_str(&text).expect("kubectl prints JSON")
}

fn version(api: &ApiServer) -> String {
    let lease = lease(api);
    lease["metadata"]["resourceVersion"]
        .as_str()
        .expect("a version")
        .to_owned()
}

/// Waits until a Service with the selector `tandem.dev/role=active` would lead to that side, and to no other.
fn wait_until_labelled(api: &ApiServer, side: Side) {
    let pod = match side {
        Side::Primary => "pod/orders-primary-0",
        Side::Backup => "pod/orders-backup-0",
    };
    wait_for(&format!("{pod} being the only active"), SOON, || {
        let selector = [
            "get",
            "pods",
            "-n",
            "shop",
            "-l",
            "tandem.dev/role=active",
            "-o",
            "name",
        ];
        (api.kubectl(&selector).trim() == pod).then_some(())
    });
}
