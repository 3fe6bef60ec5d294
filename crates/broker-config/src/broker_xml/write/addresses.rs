//! Addresses, address settings and security settings.

use super::out::Out;
use crate::configuration::{
    Address, AddressFullPolicy, AddressSetting, Queue, RoutingType, SecuritySetting,
};

pub(super) fn security_settings(out: &mut Out, settings: &[SecuritySetting]) {
    out.element("security-settings", &[], |out| {
        for SecuritySetting {
            pattern,
            permissions,
        } in settings
        {
            out.element("security-setting", &[("match", pattern)], |out| {
                for (permission, roles) in permissions {
                    let roles = roles
                        .iter()
                        .map(String::as_str)
                        .collect::<Vec<_>>()
                        .join(",");
                    let attributes = [("type", permission.name()), ("roles", roles.as_str())];
                    out.element("permission", &attributes, |_| {});
                }
            });
        }
    });
}

pub(super) fn address_settings(out: &mut Out, settings: &[AddressSetting]) {
    out.element("address-settings", &[], |out| {
        for setting in settings {
            out.element("address-setting", &[("match", &setting.pattern)], |out| {
                address_setting(out, setting);
            });
        }
    });
}

#[expect(clippy::too_many_lines, reason = "a list of fields, each of one line")]
fn address_setting(out: &mut Out, setting: &AddressSetting) {
    // Every field is named here, so that a new one cannot be forgotten.
    let AddressSetting {
        pattern: _,
        dead_letter_address,
        expiry_address,
        auto_create_dead_letter_resources,
        dead_letter_queue_prefix,
        dead_letter_queue_suffix,
        auto_create_expiry_resources,
        expiry_queue_prefix,
        expiry_queue_suffix,
        no_expiry,
        expiry_delay_ms,
        min_expiry_delay_ms,
        max_expiry_delay_ms,
        redelivery_delay_ms,
        redelivery_delay_multiplier,
        max_redelivery_delay_ms,
        max_delivery_attempts,
        send_to_dla_on_no_route,
        auto_create_queues,
        auto_create_addresses,
        auto_delete_queues,
        auto_delete_created_queues,
        auto_delete_queues_delay_ms,
        auto_delete_queues_message_count,
        auto_delete_addresses,
        auto_delete_addresses_delay_ms,
        default_max_consumers,
        default_purge_on_no_consumers,
        default_exclusive_queue,
        default_queue_routing_type,
        default_address_routing_type,
        default_consumer_window_size,
        id_cache_size,
        max_size_bytes,
        max_size_messages,
        address_full_policy,
    } = setting;
    out.optional("dead-letter-address", dead_letter_address.as_ref());
    out.optional("expiry-address", expiry_address.as_ref());
    out.optional(
        "auto-create-dead-letter-resources",
        *auto_create_dead_letter_resources,
    );
    out.optional(
        "dead-letter-queue-prefix",
        dead_letter_queue_prefix.as_ref(),
    );
    out.optional(
        "dead-letter-queue-suffix",
        dead_letter_queue_suffix.as_ref(),
    );
    out.optional(
        "auto-create-expiry-resources",
        *auto_create_expiry_resources,
    );
    out.optional("expiry-queue-prefix", expiry_queue_prefix.as_ref());
    out.optional("expiry-queue-suffix", expiry_queue_suffix.as_ref());
    out.optional("no-expiry", *no_expiry);
    out.optional("expiry-delay", *expiry_delay_ms);
    out.optional("min-expiry-delay", *min_expiry_delay_ms);
    out.optional("max-expiry-delay", *max_expiry_delay_ms);
    out.optional("redelivery-delay", *redelivery_delay_ms);
    out.optional("redelivery-delay-multiplier", *redelivery_delay_multiplier);
    out.optional("max-redelivery-delay", *max_redelivery_delay_ms);
    out.optional("max-delivery-attempts", *max_delivery_attempts);
    out.optional("send-to-dla-on-no-route", *send_to_dla_on_no_route);
    out.optional("max-size-bytes", *max_size_bytes);
    out.optional("max-size-messages", *max_size_messages);
    out.optional(
        "address-full-policy",
        address_full_policy.map(AddressFullPolicy::name),
    );
    out.optional("auto-create-queues", *auto_create_queues);
    out.optional("auto-create-addresses", *auto_create_addresses);
    out.optional("auto-delete-queues", *auto_delete_queues);
    out.optional("auto-delete-created-queues", *auto_delete_created_queues);
    out.optional("auto-delete-queues-delay", *auto_delete_queues_delay_ms);
    out.optional(
        "auto-delete-queues-message-count",
        *auto_delete_queues_message_count,
    );
    out.optional("auto-delete-addresses", *auto_delete_addresses);
    out.optional(
        "auto-delete-addresses-delay",
        *auto_delete_addresses_delay_ms,
    );
    out.optional("default-max-consumers", *default_max_consumers);
    out.optional(
        "default-purge-on-no-consumers",
        *default_purge_on_no_consumers,
    );
    out.optional("default-exclusive-queue", *default_exclusive_queue);
    out.optional(
        "default-queue-routing-type",
        default_queue_routing_type.map(RoutingType::name),
    );
    out.optional(
        "default-address-routing-type",
        default_address_routing_type.map(RoutingType::name),
    );
    out.optional(
        "default-consumer-window-size",
        *default_consumer_window_size,
    );
    out.optional("id-cache-size", *id_cache_size);
}

pub(super) fn addresses(out: &mut Out, addresses: &[Address]) {
    out.element("addresses", &[], |out| {
        for address in addresses {
            out.element("address", &[("name", &address.name)], |out| {
                for (allowed, routing_type, name) in [
                    (address.anycast, RoutingType::Anycast, "anycast"),
                    (address.multicast, RoutingType::Multicast, "multicast"),
                ] {
                    if allowed {
                        out.element(name, &[], |out| queues(out, address, routing_type));
                    }
                }
            });
        }
    });
}

fn queues(out: &mut Out, address: &Address, routing_type: RoutingType) {
    let queues = address
        .queues
        .iter()
        .filter(|queue| queue.routing_type == routing_type);
    for queue in queues {
        let Queue {
            name,
            routing_type: _,
            filter,
            durable,
            max_consumers,
            purge_on_no_consumers,
            exclusive,
            enabled,
        } = queue;
        let mut attributes = vec![("name", name.clone())];
        attributes.extend(max_consumers.map(|value| ("max-consumers", value.to_string())));
        let purge = purge_on_no_consumers.map(|value| ("purge-on-no-consumers", value.to_string()));
        attributes.extend(purge);
        attributes.extend(exclusive.map(|value| ("exclusive", value.to_string())));
        if !enabled {
            attributes.push(("enabled", enabled.to_string()));
        }
        let attributes: Vec<_> = attributes
            .iter()
            .map(|(key, value)| (*key, value.as_str()))
            .collect();
        out.element("queue", &attributes, |out| {
            if let Some(filter) = filter {
                out.element("filter", &[("string", filter)], |_| {});
            }
            if !durable {
                out.value("durable", durable);
            }
        });
    }
}
