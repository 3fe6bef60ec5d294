use super::*;

fn check(spec: &str) -> Result<ValidatedPair, String> {
    let text = format!(
        "apiVersion: tandem.dev/v1alpha1\nkind: BrokerPair\nmetadata: {{name: orders}}\nspec:\n{spec}"
    );
    let manifest = Manifest::read("p.yaml", &text).map_err(|error| error.to_string())?;
    validate(&manifest).map_err(|error| error.to_string())
}

#[test]
fn every_violation_is_told_at_once_in_the_order_of_the_file() {
    let error = check(
        "  ha:\n    mode: Replication\n    lock: Storage\n    detection: {heartbeat: 1s, timeout: 2s}\n    \
         failback: {delay: 25h}\n  acceptors:\n  - {name: A, port: 61616}\n  \
         - {name: b, port: 61615}\n  - {name: b, port: 61616}\n  addresses:\n  \
         - {name: x}\n  - {name: a b, anycast: [{name: q, maxConsumers: 0}]}\n  \
         - {name: y, anycast: [{name: q}]}\n  addressSettings:\n  \
         - {match: \"#\", maxDeliveryAttempts: 0}\n  security: {usersSecretName: none}\n",
    )
    .unwrap_err();
    let expected = "\
p.yaml:7:11: spec.ha.lock: Storage needs a shared store: use Record
p.yaml:8:41: spec.ha.detection.timeout: 2s is too short for a heartbeat of 1s: use 4000ms or more (four heartbeats), or a shorter heartbeat
p.yaml:9:23: spec.ha.failback.delay: 25h is longer than a day: use `policy: Manual` instead
p.yaml:11:12: spec.acceptors[0].name: \"A\" is not a name: use lower-case letters, digits and -
p.yaml:12:21: spec.acceptors[1].port: 61615 is where the two brokers talk (one below the first acceptor's port): choose another
p.yaml:13:12: spec.acceptors[2].name: \"b\" is there twice
p.yaml:13:21: spec.acceptors[2].port: 61616 is the port of spec.acceptors[0] already
p.yaml:15:5: spec.addresses[0]: has neither anycast nor multicast: write `anycast: [{name: …}]` for a queue, `multicast: []` for a topic
p.yaml:16:12: spec.addresses[1].name: \"a b\" contains ' ', which names cannot have
p.yaml:16:51: spec.addresses[1].anycast[0].maxConsumers: must be from 1 to 2147483647; leave it out for no limit
p.yaml:17:32: spec.addresses[2].anycast[0].name: queue \"q\" is there twice; a queue belongs to one address
p.yaml:19:39: spec.addressSettings[0].maxDeliveryAttempts: must be 1 or more, or -1 for no limit
p.yaml:20:31: spec.security.usersSecretName: there is no Secret \"none\" in this file: add it behind a line `---`, or leave this field out and a user is generated";
    assert_eq!(error, expected);
}

#[test]
fn users_come_from_the_secret_of_the_same_file() {
    let spec = "  ha: {mode: SharedStore}\n  security: {usersSecretName: users}\n---\n\
                kind: Secret\nmetadata: {name: users}\nstringData: {admin: secret}\n\
                data: {reader: cmVhZA==, admin: b3RoZXI=}\n";
    let users = check(spec).unwrap().users.unwrap();
    let users: Vec<_> = users
        .iter()
        .map(|(user, word)| (user.as_str(), word.as_str()))
        .collect();
    assert_eq!(users, [("admin", "secret"), ("reader", "read")]);
    let error = check(&spec.replace("cmVhZA==", "read!")).unwrap_err();
    assert!(
        error.starts_with("p.yaml:8:1: Secret users: data.reader is not base64"),
        "{error}"
    );
    let error = check(&spec.replace("admin: secret", "\"a:b\": secret")).unwrap_err();
    assert!(error.contains("\"a:b\" is not a user name"), "{error}");
}

#[test]
fn what_means_nothing_on_one_machine_is_named() {
    let pair = check(
        "  ha: {mode: SharedStore}\n  storage: {size: 10Gi, reclaimPolicy: Retain}\n  \
         image: x\n---\nkind: ConfigMap\nmetadata: {name: c}\n",
    )
    .unwrap();
    let expected = [
        "spec.storage.size",
        "spec.storage.reclaimPolicy",
        "spec.image",
        "ConfigMap c",
    ];
    assert_eq!(pair.meaningless_locally, expected);
}

#[test]
fn names_are_those_of_kubernetes() {
    for (name, is_good) in [
        ("orders", true),
        ("a-1", true),
        ("Orders", false),
        ("-a", false),
        ("a.b", false),
    ] {
        let text = format!(
            "apiVersion: tandem.dev/v1alpha1\nkind: BrokerPair\nmetadata: {{name: {name}}}\n\
             spec: {{ha: {{mode: SharedStore}}}}\n"
        );
        let manifest = Manifest::read("p.yaml", &text).unwrap();
        assert_eq!(validate(&manifest).is_ok(), is_good, "{name}");
    }
}
