//! Address settings.

use crate::configuration::{AddressFullPolicy, AddressSetting, RoutingType};
use crate::xml::{Child, Names, View};

pub(super) fn address_settings(view: &View<'_, '_>) -> Vec<AddressSetting> {
    let mut settings = Vec::new();
    let mut patterns = Names::default();
    for child in view.children() {
        let pattern = patterns.of_attribute(&child, "match");
        let mut setting = AddressSetting::default();
        for child in child.view.children() {
            read(&mut setting, child);
        }
        if let Some(pattern) = pattern {
            settings.push(AddressSetting { pattern, ..setting });
        }
    }
    settings
}

fn read(setting: &mut AddressSetting, child: Child<'_, '_>) {
    match child.name {
        "dead-letter-address" => setting.dead_letter_address = child.text(),
        "expiry-address" => setting.expiry_address = child.text(),
        "auto-create-dead-letter-resources" => {
            setting.auto_create_dead_letter_resources = child.flag();
        }
        "dead-letter-queue-prefix" => setting.dead_letter_queue_prefix = child.text(),
        "dead-letter-queue-suffix" => setting.dead_letter_queue_suffix = child.text(),
        "auto-create-expiry-resources" => setting.auto_create_expiry_resources = child.flag(),
        "expiry-queue-prefix" => setting.expiry_queue_prefix = child.text(),
        "expiry-queue-suffix" => setting.expiry_queue_suffix = child.text(),
        "no-expiry" => setting.no_expiry = child.flag(),
        "expiry-delay" => setting.expiry_delay_ms = child.number(),
        "min-expiry-delay" => setting.min_expiry_delay_ms = child.number(),
        "max-expiry-delay" => setting.max_expiry_delay_ms = child.number(),
        "redelivery-delay" => setting.redelivery_delay_ms = child.number(),
        "redelivery-delay-multiplier" => setting.redelivery_delay_multiplier = child.decimal(),
        "max-redelivery-delay" => setting.max_redelivery_delay_ms = child.number(),
        "max-delivery-attempts" => setting.max_delivery_attempts = child.number(),
        "send-to-dla-on-no-route" => setting.send_to_dla_on_no_route = child.flag(),
        "max-size-bytes" => setting.max_size_bytes = child.number(),
        "max-size-messages" => setting.max_size_messages = child.number(),
        "address-full-policy" => {
            setting.address_full_policy = child.choice(AddressFullPolicy::from_name);
        }
        "id-cache-size" => setting.id_cache_size = child.number(),
        _ => read_lifecycle(setting, child),
    }
}

/// Creation, deletion, and what queues are like by default.
fn read_lifecycle(setting: &mut AddressSetting, child: Child<'_, '_>) {
    match child.name {
        "auto-create-queues" => setting.auto_create_queues = child.flag(),
        "auto-create-addresses" => setting.auto_create_addresses = child.flag(),
        "auto-delete-queues" => setting.auto_delete_queues = child.flag(),
        "auto-delete-created-queues" => setting.auto_delete_created_queues = child.flag(),
        "auto-delete-queues-delay" => setting.auto_delete_queues_delay_ms = child.number(),
        "auto-delete-queues-message-count" => {
            setting.auto_delete_queues_message_count = child.number();
        }
        "auto-delete-addresses" => setting.auto_delete_addresses = child.flag(),
        "auto-delete-addresses-delay" => setting.auto_delete_addresses_delay_ms = child.number(),
        "default-max-consumers" => setting.default_max_consumers = child.number(),
        "default-purge-on-no-consumers" => setting.default_purge_on_no_consumers = child.flag(),
        "default-exclusive-queue" => setting.default_exclusive_queue = child.flag(),
        "default-queue-routing-type" => {
            setting.default_queue_routing_type = child.choice(RoutingType::from_name);
        }
        "default-address-routing-type" => {
            setting.default_address_routing_type = child.choice(RoutingType::from_name);
        }
        "default-consumer-window-size" => setting.default_consumer_window_size = child.number(),
        // The others of the table are the pattern, or have no effect.
        _ => {}
    }
}
