//! The engine's settings, from the configuration's: the same things under the engine's own types.

use broker_config::configuration::{
    Address, AddressSetting, Configuration, Permission, Queue, RoutingType, SecuritySetting,
};
use engine::{
    AddressConfig, AddressSettingsMatch, AddressSettingsOverrides, EngineConfig, QueueConfig,
    RoutingTypes, SecurityMatch,
};

/// What the engine is told; the epoch is filled in when a term begins.
pub(crate) fn engine(configuration: &Configuration) -> EngineConfig {
    EngineConfig {
        address_settings: configuration
            .address_settings
            .iter()
            .map(address_setting)
            .collect(),
        security_enabled: configuration.security_enabled,
        security: configuration
            .security_settings
            .iter()
            .map(security)
            .collect(),
        addresses: configuration.addresses.iter().map(address).collect(),
        management_address: configuration.management_address.clone(),
        id_cache_size: configuration.limits.id_cache_size as usize,
        wildcard_routing: configuration.wildcard_routing_enabled,
        message_expiry_scan_period_ms: configuration.limits.message_expiry_scan_period_ms,
        address_queue_scan_period_ms: configuration.limits.address_queue_scan_period_ms,
        ..EngineConfig::new(0)
    }
}

fn routing_type(configured: RoutingType) -> engine::RoutingType {
    match configured {
        RoutingType::Multicast => engine::RoutingType::Multicast,
        RoutingType::Anycast => engine::RoutingType::Anycast,
    }
}

fn address(configured: &Address) -> AddressConfig {
    AddressConfig {
        name: configured.name.clone(),
        routing_types: RoutingTypes {
            anycast: configured.anycast,
            multicast: configured.multicast,
        },
        queues: configured.queues.iter().map(queue).collect(),
    }
}

fn queue(configured: &Queue) -> QueueConfig {
    QueueConfig {
        name: configured.name.clone(),
        routing_type: routing_type(configured.routing_type),
        filter: configured.filter.clone(),
        durable: configured.durable,
        max_consumers: configured.max_consumers,
        purge_on_no_consumers: configured.purge_on_no_consumers,
        exclusive: configured.exclusive,
        enabled: configured.enabled,
    }
}

fn address_setting(configured: &AddressSetting) -> AddressSettingsMatch {
    let AddressSetting {
        pattern,
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
        // Limits of memory: every message is kept in memory, whatever they say (docs/artemis-compatibility.md).
        max_size_bytes: _,
        max_size_messages: _,
        address_full_policy: _,
    } = configured.clone();
    AddressSettingsMatch {
        pattern,
        overrides: AddressSettingsOverrides {
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
            default_exclusive: default_exclusive_queue,
            default_queue_routing_type: default_queue_routing_type.map(routing_type),
            default_address_routing_type: default_address_routing_type.map(routing_type),
            default_consumer_window_size,
            id_cache_size: id_cache_size.map(|size| size as usize),
        },
    }
}

fn security(configured: &SecuritySetting) -> SecurityMatch {
    SecurityMatch {
        pattern: configured.pattern.clone(),
        roles: configured
            .permissions
            .iter()
            .map(|(kind, roles)| (permission(*kind), roles.clone()))
            .collect(),
    }
}

fn permission(configured: Permission) -> engine::Permission {
    match configured {
        Permission::CreateNonDurableQueue => engine::Permission::CreateNonDurableQueue,
        Permission::DeleteNonDurableQueue => engine::Permission::DeleteNonDurableQueue,
        Permission::CreateDurableQueue => engine::Permission::CreateDurableQueue,
        Permission::DeleteDurableQueue => engine::Permission::DeleteDurableQueue,
        Permission::CreateAddress => engine::Permission::CreateAddress,
        Permission::DeleteAddress => engine::Permission::DeleteAddress,
        Permission::Consume => engine::Permission::Consume,
        Permission::Browse => engine::Permission::Browse,
        Permission::Send => engine::Permission::Send,
        Permission::Manage => engine::Permission::Manage,
    }
}
