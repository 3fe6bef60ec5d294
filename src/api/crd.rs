//! The custom resource definition of [`BrokerPair`](super::BrokerPair), made from the types.

#[cfg(test)]
mod tests;

use kube::CustomResourceExt;
use serde_json::Value;

use super::BrokerPair;

/// Fields whose types are Kubernetes' own. Their parts are described in its documentation; repeated here for every field
/// that has them, they would be nine tenths of the definition.
const KUBERNETES_OWN: [&str; 7] = [
    "affinity",
    "conditions",
    "containerSecurityContext",
    "env",
    "securityContext",
    "tolerations",
    "topologySpreadConstraints",
];

/// Why the definition could not be made; only a mistake in the types can be the reason.
#[derive(Debug, thiserror::Error)]
#[error("the custom resource definition cannot be written: {0}")]
pub(crate) struct CrdError(String);

/// The definition as it is applied.
pub(crate) fn definition() -> Result<Value, CrdError> {
    let mut definition =
        serde_json::to_value(BrokerPair::crd()).map_err(|error| CrdError(error.to_string()))?;
    drop_foreign_formats(&mut definition);
    shorten(&mut definition);
    Ok(definition)
}

/// The definition as YAML, as `tandem crds` prints it and `crds/` has it.
pub(crate) fn text() -> Result<String, CrdError> {
    serde_saphyr::to_string(&definition()?).map_err(|error| CrdError(error.to_string()))
}

/// Takes Rust's names of number formats out: the API server warns of each that it does not know. The limits beside them
/// say the same.
fn drop_foreign_formats(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let is_foreign = |format: &Value| {
                format
                    .as_str()
                    .is_some_and(|format| format.starts_with("uint"))
            };
            if fields.get("format").is_some_and(is_foreign) {
                fields.remove("format");
            }
            fields.values_mut().for_each(drop_foreign_formats);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_foreign_formats),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Takes the descriptions out that are below [`KUBERNETES_OWN`] fields.
fn shorten(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::Object(properties)) = fields.get_mut("properties") {
                for name in KUBERNETES_OWN {
                    let Some(Value::Object(field)) = properties.get_mut(name) else {
                        continue;
                    };
                    let (_, parts): (Vec<_>, Vec<_>) =
                        field.iter_mut().partition(|(key, _)| *key == "description");
                    for (_, part) in parts {
                        drop_descriptions(part);
                    }
                }
            }
            fields.values_mut().for_each(shorten);
        }
        Value::Array(items) => items.iter_mut().for_each(shorten),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn drop_descriptions(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if fields.get("description").is_some_and(Value::is_string) {
                fields.remove("description");
            }
            fields.values_mut().for_each(drop_descriptions);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_descriptions),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
