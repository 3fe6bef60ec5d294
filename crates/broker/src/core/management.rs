//! Answers to messages sent to the management address.
//!
//! This broker serves no management operations over CORE. A tool that asks waits for an answer on its reply queue
//! without bound, so every request is answered with a refusal that says so.

use core_protocol::message::{Message, MessageBuilder, Value, kind, text_body};

/// The refusal for a management request; `None` if it names no reply queue.
pub(crate) fn answer(request: &Message) -> Option<Message> {
    let text = |name: &str| {
        request
            .property(name)
            .and_then(|value| value.as_str().map(ToOwned::to_owned))
    };
    let reply_to = text("JMSReplyTo")?;
    let queue = ["queue://", "topic://", "temp-queue://", "temp-topic://"]
        .iter()
        .find_map(|prefix| reply_to.strip_prefix(prefix))
        .unwrap_or(&reply_to)
        .to_owned();
    let asked = text("_AMQ_OperationName")
        .or_else(|| text("_AMQ_Attribute"))
        .unwrap_or_default();
    let resource = text("_AMQ_ResourceName").unwrap_or_default();
    let why = format!(
        "[\"AMQ229069: this broker does not serve the management request {} of {} over CORE: see GET /v1/pair on its HTTP port\"]",
        plain(&asked),
        plain(&resource)
    );
    let mut reply = MessageBuilder::to(queue.clone());
    reply.kind = kind::TEXT;
    reply.body = text_body(&why);
    reply.set_property("_AMQ_OperationSucceeded", Value::Bool(false));
    reply.set_property("JMSReplyTo", Value::String(queue));
    let correlation = text("JMSCorrelationID").unwrap_or_else(|| "null".to_owned());
    reply.set_property("JMSCorrelationID", Value::String(correlation));
    Some(reply.build())
}

/// A name from a client inside a JSON string: what would end the string or is not printable is left out.
fn plain(name: &str) -> String {
    name.chars()
        .filter(|c| !c.is_control() && *c != '"' && *c != '\\')
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_refused_on_its_reply_queue() {
        let mut request = MessageBuilder::to("activemq.management");
        request.set_property("_AMQ_ResourceName", Value::String("broker".into()));
        request.set_property("_AMQ_OperationName", Value::String("list\"Queues".into()));
        request.set_property("JMSReplyTo", Value::String("queue://replies".into()));
        let answer = answer(&request.build()).unwrap();
        assert_eq!(answer.address(), Some("replies"));
        assert_eq!(
            answer.property("_AMQ_OperationSucceeded"),
            Some(Value::Bool(false))
        );
        assert!(answer.text().unwrap().contains("listQueues of broker"));
    }

    #[test]
    fn without_a_reply_queue_there_is_nobody_to_answer() {
        assert!(answer(&MessageBuilder::to("activemq.management").build()).is_none());
    }
}
