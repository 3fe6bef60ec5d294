//! Acceptors and connectors.

use std::collections::BTreeSet;

use crate::configuration::{Acceptor, Connector, Protocol};
use crate::elements;
use crate::suggest;
use crate::url::{self, Url};
use crate::xml::{Child, Names, NoticeKind, Problem, View, shown};

pub(super) fn acceptors(view: &View<'_, '_>) -> Vec<Acceptor> {
    let mut acceptors = Vec::new();
    let mut names = Names::default();
    for child in view.children() {
        let name = names.of(&child);
        // In-process acceptors serve only a JVM that the broker is embedded in.
        let url = child.view.text();
        if url.starts_with("vm:") {
            child
                .view
                .notice(NoticeKind::NotServedYet, "not opened: vm:// is not served");
            continue;
        }
        let Some(url) = read_url(&child, &url, 0) else {
            continue;
        };
        let Url {
            host,
            port,
            mut parameters,
        } = url;
        let protocols = parameters.remove("protocols");
        let Some(protocols) = protocols_of(&child.view, protocols.as_deref()) else {
            continue;
        };
        for (key, value) in &parameters {
            if child.view.parameter("acceptor-url", key, value).is_none()
                && elements::scope("acceptor-url").row(key, true).is_none()
            {
                let known = elements::scope("acceptor-url").names(true);
                let suggestion = suggest::phrase(suggest::nearest(key, known));
                let text = format!(
                    "parameter '{}' is unknown and ignored{suggestion}",
                    shown(key)
                );
                child.view.notice(NoticeKind::Harmless, text);
            }
        }
        if let Some(name) = name {
            acceptors.push(Acceptor {
                name,
                host,
                port,
                protocols,
                parameters,
            });
        }
    }
    acceptors
}

pub(super) fn connectors(view: &View<'_, '_>) -> Vec<Connector> {
    let mut connectors = Vec::new();
    let mut names = Names::default();
    for child in view.children() {
        let name = names.of(&child);
        let url = child.view.text();
        if url.starts_with("vm:") {
            child
                .view
                .notice(NoticeKind::NotServedYet, "ignored: vm:// is not served");
            continue;
        }
        let Some(Url {
            host,
            port,
            parameters,
        }) = read_url(&child, &url, 1)
        else {
            continue;
        };
        for (key, value) in &parameters {
            child.view.parameter("connector-url", key, value);
        }
        if let Some(name) = name {
            connectors.push(Connector {
                name,
                host,
                port,
                parameters,
            });
        }
    }
    connectors
}

fn read_url(child: &Child<'_, '_>, text: &str, lowest_port: u16) -> Option<Url> {
    let url = url::parse(text).and_then(|url| {
        if url.port < lowest_port {
            Err("needs a port from 1 to 65535")
        } else {
            Ok(url)
        }
    });
    match url {
        Ok(url) => Some(url),
        Err(problem) => {
            child.view.error(Problem::Url {
                url: shown(text),
                problem,
            });
            None
        }
    }
}

/// The served protocols of an acceptor; `None` if there are none.
fn protocols_of(view: &View<'_, '_>, listed: Option<&str>) -> Option<BTreeSet<Protocol>> {
    let Some(listed) = listed else {
        // Without a list Artemis speaks whatever it can; so do we.
        return Some(BTreeSet::from([Protocol::Core]));
    };
    let names = || {
        listed
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
    };
    let served: BTreeSet<_> = names().filter_map(Protocol::from_name).collect();
    let others: Vec<_> = names()
        .filter(|name| Protocol::from_name(name).is_none())
        .collect();
    let others = shown(&others.join(", "));
    if served.is_empty() {
        let text = format!("not opened: {others} is not served, only CORE");
        view.notice(NoticeKind::NotServedYet, text);
        return None;
    }
    if !others.is_empty() {
        view.notice(
            NoticeKind::NotServedYet,
            format!("opened for CORE alone, without {others}"),
        );
    }
    Some(served)
}
