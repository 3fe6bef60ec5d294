//! Looks for the other side until there is a link.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use link_protocol::{End, Reason, Why};
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};
use tracing::{debug, info, warn};

use super::address::Address;
use super::discovery::Discovery;
use super::hub::Hub;
use super::session::{self, Opened, Outcome};

/// How long one connection may take to be opened. A machine that is off does not answer at all.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);
/// The longest pause after wrong passwords. They are not corrected while both processes run.
const MAX_PAUSE: Duration = Duration::from_secs(5);
/// The pause right after a link was lost: a refused connection says that its process is gone.
const QUICK_PAUSE: Duration = Duration::from_millis(20);

/// Where the other side may be.
pub(super) struct Addresses {
    /// Where this side listens.
    pub(super) own: Address,
    /// Where the other one says it does.
    pub(super) peer_file: watch::Receiver<Option<Address>>,
    /// What `broker.xml` says.
    pub(super) static_peers: Vec<Address>,
    /// What it announces. Last, because anybody can announce something.
    pub(super) discovery: Option<Discovery>,
}

impl Addresses {
    /// In the order in which they are tried, each once, not the own one.
    fn all(&mut self, last: Option<Address>) -> Vec<Address> {
        let peer_file = self.peer_file.borrow_and_update().clone();
        let heard = self.discovery.as_mut().and_then(Discovery::next);
        let mut all: Vec<Address> = Vec::new();
        for address in peer_file
            .into_iter()
            .chain(self.static_peers.iter().cloned())
            .chain(last)
            .chain(heard)
        {
            if address != self.own && !all.contains(&address) {
                all.push(address);
            }
        }
        all
    }

    /// There is a link.
    fn rest(&mut self) {
        if let Some(discovery) = &mut self.discovery {
            discovery.rest();
        }
    }

    /// Listens for further ones until it is dropped.
    async fn listen(&mut self, pair: &str) -> Infallible {
        match &mut self.discovery {
            Some(discovery) => discovery.listen(pair).await,
            None => std::future::pending().await,
        }
    }
}

/// Why an address did not lead to a link.
enum Failure {
    /// Nobody was reached.
    NoConnection(Address, io::Error),
    /// Somebody was.
    NoLink(Address, Why),
}

/// Dials until the link is closed.
pub(super) async fn run(
    hub: Arc<Hub>,
    addresses: Addresses,
    pair: watch::Receiver<Option<String>>,
) {
    let dial = dial_for_ever(&hub, addresses, pair);
    hub.until_stopped(dial).await;
}

async fn dial_for_ever(
    hub: &Arc<Hub>,
    mut addresses: Addresses,
    mut pair: watch::Receiver<Option<String>>,
) {
    let mut linked = hub.linked();
    let mut pause = hub.beat();
    let mut files = addresses.peer_file.clone();
    loop {
        if *linked.borrow() {
            addresses.rest();
        }
        if linked.wait_for(|linked| !linked).await.is_err() {
            return;
        }
        // Whoever does not know its pair has nothing to say to anybody.
        let Ok(Some(node_id)) = pair
            .wait_for(Option::is_some)
            .await
            .map(|pair| pair.clone())
        else {
            return;
        };
        let all = addresses.all(hub.last_address());
        let failure = dial_all(hub, all, &linked).await;
        let is_credentials = matches!(
            &failure,
            Some(Failure::NoLink(_, Why::Refused(refusal) | Why::RefusedBy(refusal)))
                if refusal.reason == Reason::Credentials
        );
        pause = if is_credentials {
            (2 * pause).min(MAX_PAUSE)
        } else if hub.lost_just_now() {
            QUICK_PAUSE
        } else {
            hub.beat()
        };
        if let Some(failure) = failure {
            tell(hub, &failure);
        }
        files.borrow_and_update();
        // Only now: whoever has an address that works needs no other.
        if let Some(discovery) = &mut addresses.discovery
            && !*linked.borrow()
        {
            discovery.open().await;
        }
        tokio::select! {
            never = addresses.listen(&node_id) => match never {},
            () = tokio::time::sleep(pause) => {}
            Ok(()) = files.changed() => {}
        }
    }
}

/// Tries one address after the other; the failure that says most, if there is no link then.
async fn dial_all(
    hub: &Arc<Hub>,
    all: Vec<Address>,
    linked: &watch::Receiver<bool>,
) -> Option<Failure> {
    if all.is_empty() {
        hub.trouble("the address of the other side is not known yet".to_owned());
    }
    let mut worst = None;
    for address in all {
        if *linked.borrow() {
            return None;
        }
        match dial(hub, address).await {
            Ok(()) => return None,
            // The first one that somebody gave is the one that should work; but who was reached knows more.
            Err(failure) if worst.is_none() || matches!(failure, Failure::NoLink(..)) => {
                worst = Some(failure);
            }
            Err(_) => {}
        }
    }
    worst.filter(|_| !*linked.borrow())
}

async fn dial(hub: &Arc<Hub>, address: Address) -> Result<(), Failure> {
    let connect = TcpStream::connect((address.host.as_str(), address.port));
    let connected = tokio::time::timeout(CONNECT_LIMIT, connect).await;
    let connected = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    let stream = match connected {
        Ok(stream) => stream,
        Err(error) => {
            if error.kind() == io::ErrorKind::ConnectionRefused {
                hub.refused_at(&address);
            }
            return Err(Failure::NoConnection(address, error));
        }
    };
    let opened = Opened {
        stream,
        end: End::Dialler,
        remote: address.to_string(),
        from: None,
    };
    let (up, outcome) = oneshot::channel();
    let carry = session::carry(Arc::clone(hub), opened, up, None);
    hub.tasks().spawn(carry);
    match outcome.await {
        Ok(Outcome::Up) => Ok(()),
        Ok(Outcome::Failed(why)) => Err(Failure::NoLink(address, why)),
        Err(_) => Err(Failure::NoLink(address, Why::Ended)),
    }
}

fn tell(hub: &Hub, failure: &Failure) {
    let line = match failure {
        Failure::NoConnection(address, error) => {
            format!("no link: {address} cannot be reached: {error}")
        }
        Failure::NoLink(address, why) => format!("no link to {address}: {why}"),
    };
    // Then there is a link, or there will be in a moment.
    let is_duplicate = matches!(
        failure,
        Failure::NoLink(_, Why::Refused(refusal) | Why::RefusedBy(refusal))
            if refusal.reason == Reason::Duplicate
    );
    if !is_duplicate {
        hub.trouble(line.clone());
    }
    match failure {
        // Nobody listens: that side does not run, which is nothing to be told about it here.
        Failure::NoConnection(_, error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            debug!("{line}");
        }
        Failure::NoLink(_, Why::Refused(refusal) | Why::RefusedBy(refusal))
            if !refusal.reason.is_passing() =>
        {
            if let Some(more) = hub.may_print(&line) {
                warn!("{line}{more}");
            }
        }
        Failure::NoLink(..) => debug!("{line}"),
        Failure::NoConnection(..) => {
            if let Some(more) = hub.may_print(&line) {
                info!("{line}{more}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::discovery::tests::Medium;
    use super::*;

    fn at(port: u16) -> Address {
        Address::beside("127.0.0.1", port + 1).unwrap()
    }

    #[tokio::test]
    async fn addresses_are_tried_in_the_order_of_who_vouches_for_them() {
        let medium = Medium::new();
        let mut discovery = medium.listener();
        medium.is_heard_by(&mut discovery, 4).await;
        let (_known, peer_file) = watch::channel(Some(at(1)));
        let mut addresses = Addresses {
            own: at(9),
            peer_file,
            static_peers: vec![at(9), at(1), at(2)],
            discovery: Some(discovery),
        };
        assert_eq!(addresses.all(Some(at(3))), [at(1), at(2), at(3), at(4)]);
        addresses.rest();
        assert_eq!(addresses.all(Some(at(2))), [at(1), at(2)]);
    }
}
