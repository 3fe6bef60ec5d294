//! The URL that JMS clients should use: both brokers, and times by which a client gives up on a
//! silent one in seconds rather than in half a minute.

/// Silence of a broker after which a client gives it up.
pub(crate) const CONNECTION_TTL_MS: u64 = 4_000;
/// How often a client looks for that; must be well below the former.
pub(crate) const FAILURE_CHECK_PERIOD_MS: u64 = 1_000;
/// The longest wait for one answer.
pub(crate) const CALL_TIMEOUT_MS: u64 = 5_000;
/// The longest wait for one TCP connection.
pub(crate) const CONNECT_TIMEOUT_MS: u64 = 2_000;
/// Pause between two rounds over both brokers.
pub(crate) const RETRY_INTERVAL_MS: u64 = 100;

/// The URL for a pair whose brokers, the primary first, are reached at these hosts and ports.
pub(crate) fn recommended(brokers: [(String, u16); 2]) -> String {
    // The connect timeout belongs to each connection, the rest to the connection factory.
    let [primary, backup] = brokers.map(|(host, port)| {
        format!("tcp://{host}:{port}?connect-timeout-millis={CONNECT_TIMEOUT_MS}")
    });
    format!(
        "({primary},{backup})?ha=true&reconnectAttempts=-1&retryInterval={RETRY_INTERVAL_MS}\
         &connectionTTL={CONNECTION_TTL_MS}&clientFailureCheckPeriod={FAILURE_CHECK_PERIOD_MS}\
         &callTimeout={CALL_TIMEOUT_MS}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_names_both_brokers_and_bounds_every_wait() {
        let url = recommended([61616, 61716].map(|port| ("127.0.0.1".to_owned(), port)));
        let expected = "(tcp://127.0.0.1:61616?connect-timeout-millis=2000,\
                        tcp://127.0.0.1:61716?connect-timeout-millis=2000)?ha=true\
                        &reconnectAttempts=-1&retryInterval=100&connectionTTL=4000\
                        &clientFailureCheckPeriod=1000&callTimeout=5000";
        assert_eq!(url, expected);
    }
}
