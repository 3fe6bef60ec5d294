//! Who may do what.

use std::collections::BTreeSet;

use engine::{
    Command, CreateConsumer, CreateQueue, EngineConfig, OpenSession, Permission, RoutingType,
    SecurityMatch, SessionKey,
};

use crate::support::{Broker, consume, multicast, text};

const ALL: [Permission; 10] = [
    Permission::CreateAddress,
    Permission::DeleteAddress,
    Permission::CreateDurableQueue,
    Permission::DeleteDurableQueue,
    Permission::CreateNonDurableQueue,
    Permission::DeleteNonDurableQueue,
    Permission::Send,
    Permission::Consume,
    Permission::Browse,
    Permission::Manage,
];

/// A broker where each permission is given to users on the addresses that begin with its name.
fn guarded() -> (Broker, SessionKey) {
    let mut config = EngineConfig::new(1);
    config.security_enabled = true;
    config.security = ALL
        .map(|permission| SecurityMatch {
            pattern: format!("{}.#", permission.name()),
            roles: [(permission, BTreeSet::from(["users".to_owned()]))].into(),
        })
        .into();
    config.management_address = "manage.broker".into();
    let mut broker = Broker::with_config(config);
    let admin = OpenSession {
        bypass_security: true,
        ..broker.auto()
    };
    let admin = broker.open(admin);
    (broker, admin)
}

fn named(address: &str, queue: &str) -> CreateQueue {
    CreateQueue {
        routing_type: Some(RoutingType::Anycast),
        ..CreateQueue::new(address, format!("{address}.{queue}"))
    }
}

/// What needs which permission on `address`, in an order that leaves each possible.
fn operations(address: &str) -> Vec<(Permission, Command)> {
    let consumer = |id: i64, browse_only: bool| {
        Command::CreateConsumer(CreateConsumer {
            browse_only,
            ..consume(id, address)
        })
    };
    let create = |create: CreateQueue| Command::CreateQueue(Box::new(create));
    let shared = |create: CreateQueue| Command::CreateSharedQueue(Box::new(create));
    let fleeting = |name: &str| CreateQueue {
        durable: false,
        ..named(address, name)
    };
    let delete = |name: &str| Command::DeleteQueue {
        queue: format!("{address}.{name}"),
    };
    let new_types = Command::CreateAddress {
        address: address.into(),
        routing_types: multicast(),
        auto_created: false,
    };
    vec![
        (
            Permission::Send,
            Command::Send {
                message: text(address, "a").build(),
                address: None,
            },
        ),
        (Permission::Consume, consumer(0, false)),
        (Permission::Browse, consumer(1, true)),
        (Permission::CreateAddress, new_types),
        (Permission::CreateDurableQueue, create(named(address, "d"))),
        (Permission::CreateDurableQueue, shared(named(address, "sd"))),
        (Permission::CreateNonDurableQueue, create(fleeting("n"))),
        (Permission::CreateNonDurableQueue, shared(fleeting("sn"))),
        (
            Permission::CreateNonDurableQueue,
            create(CreateQueue {
                temporary: true,
                ..named(address, "t")
            }),
        ),
        (Permission::DeleteDurableQueue, delete("durable")),
        (Permission::DeleteNonDurableQueue, delete("fleeting")),
    ]
}

#[test]
fn permissions_are_checked_for_each_operation() {
    let (mut broker, admin) = guarded();
    let session = broker.session();
    for permission in ALL {
        let address = format!("{}.a", permission.name());
        let fleeting = CreateQueue {
            durable: false,
            ..named(&address, "fleeting")
        };
        let plain = CreateQueue {
            queue: address.clone(),
            ..named(&address, "")
        };
        for create in [plain, named(&address, "durable"), fleeting] {
            broker.done(admin, Command::CreateQueue(Box::new(create)));
        }
        for (needed, command) in operations(&address) {
            let shown = format!("{command:?}");
            let result = broker.call(session, command);
            if permission == needed {
                assert!(result.is_ok(), "{permission:?}: {shown}: {result:?}");
            } else {
                assert_eq!(result.unwrap_err().code, 105, "{permission:?}: {shown}");
            }
        }
        for consumer in [0, 1] {
            broker.done(session, Command::CloseConsumer { consumer });
        }
    }
}

#[test]
fn addresses_and_management_have_permissions_of_their_own() {
    let (mut broker, admin) = guarded();
    let session = broker.session();
    for address in ["deleteAddress.a", "send.a"] {
        broker.done(
            admin,
            Command::CreateAddress {
                address: address.into(),
                routing_types: multicast(),
                auto_created: false,
            },
        );
    }
    broker.done(
        session,
        Command::DeleteAddress {
            address: "deleteAddress.a".into(),
        },
    );
    let refused = Command::DeleteAddress {
        address: "send.a".into(),
    };
    assert_eq!(broker.refused(session, refused).code, 105);

    broker.send(session, &text("manage.broker", "a"));
    assert_eq!(broker.management.len(), 1);
    // A queue on a missing address also needs the permission to create that.
    let create = Command::CreateQueue(Box::new(CreateQueue::new("createDurableQueue.new", "new")));
    assert_eq!(broker.refused(session, create).code, 105);
}

#[test]
fn the_management_address_is_closed_to_senders() {
    let mut config = EngineConfig::new(1);
    config.security_enabled = true;
    config.security = vec![SecurityMatch {
        pattern: "#".into(),
        roles: [(Permission::Send, BTreeSet::from(["users".to_owned()]))].into(),
    }];
    let mut broker = Broker::with_config(config);
    let session = broker.session();
    broker.send(session, &text("anywhere", "a"));
    let manage = text("activemq.management", "a").build();
    let manage = Command::Send {
        message: manage,
        address: None,
    };
    assert_eq!(broker.refused(session, manage).code, 105);
    assert!(broker.management.is_empty());
}
