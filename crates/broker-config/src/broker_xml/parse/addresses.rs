//! Addresses and queues.

use crate::configuration::{Address, Queue, RoutingType};
use crate::xml::{Child, Names, View, set};

pub(super) fn addresses(view: &View<'_, '_>) -> Vec<Address> {
    let mut addresses = Vec::new();
    let mut names = Names::default();
    // The names of queues are unique in the whole broker.
    let mut queue_names = Names::default();
    for child in view.children() {
        let name = names.of(&child);
        let mut address = Address::default();
        for child in child.view.children() {
            let routing_type = if child.name == "anycast" {
                address.anycast = true;
                RoutingType::Anycast
            } else {
                address.multicast = true;
                RoutingType::Multicast
            };
            for child in child.view.children() {
                if let Some(name) = queue_names.of(&child) {
                    address.queues.push(queue(name, routing_type, child));
                }
            }
        }
        if let Some(name) = name {
            addresses.push(Address { name, ..address });
        }
    }
    addresses
}

fn queue(name: String, routing_type: RoutingType, child: Child<'_, '_>) -> Queue {
    let mut queue = Queue::new(name, routing_type);
    let Child {
        view, attributes, ..
    } = child;
    for attribute in attributes {
        match attribute.name {
            "max-consumers" => queue.max_consumers = attribute.number(),
            "purge-on-no-consumers" => queue.purge_on_no_consumers = attribute.flag(),
            "exclusive" => queue.exclusive = attribute.flag(),
            "enabled" => set(&mut queue.enabled, attribute.flag()),
            // The others of the table are the name, or accepted only at their defaults.
            _ => {}
        }
    }
    for child in view.children() {
        match child.name {
            "durable" => set(&mut queue.durable, child.flag()),
            "filter" => queue.filter = child.required("string").filter(|text| !text.is_empty()),
            // The others of the table have no effect.
            _ => {}
        }
    }
    queue
}
