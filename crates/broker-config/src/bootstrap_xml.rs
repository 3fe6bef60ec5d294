//! `etc/bootstrap.xml`: where `broker.xml` is, and where the HTTP port is opened.

use quick_xml::escape::escape;

use crate::url;
use crate::xml::{self, ConfigErrors, Lookup, Notice, Problem, View, shown};

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bootstrap {
    /// Path of `broker.xml`.
    pub broker_xml: String,
    /// Where the HTTP port is; absent: it is not opened.
    pub http: Option<HttpBinding>,
}

/// Where the HTTP port is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpBinding {
    /// Host to listen on; IPv6 without brackets.
    pub host: String,
    /// Port to listen on.
    pub port: u16,
}

/// Path of `broker.xml` as `create` writes it: the instance can be moved.
const BROKER_XML: &str = "${artemis.instance.etc}/broker.xml";
/// Port of an HTTP address that names none.
const DEFAULT_PORT: u16 = 8_161;

impl Bootstrap {
    /// What `create` writes.
    pub fn new(http: Option<HttpBinding>) -> Self {
        Self {
            broker_xml: BROKER_XML.to_owned(),
            http,
        }
    }

    /// Reads the file's text. `lookup` gives the value of a placeholder's name: a property of the
    /// instance (see [`crate::paths::instance_property`]), else a variable of the environment.
    pub fn parse(
        file: &str,
        text: &str,
        lookup: &Lookup<'_>,
    ) -> Result<(Self, Vec<Notice>), ConfigErrors> {
        xml::read(file, text, lookup, "broker", read)
    }

    /// The file's text. A placeholder in the path stays one.
    pub fn to_text(&self) -> String {
        let path = escape(&self.broker_xml);
        let web = match &self.http {
            None => String::new(),
            Some(HttpBinding { host, port }) => {
                let host = if host.contains(':') {
                    format!("[{host}]")
                } else {
                    host.clone()
                };
                format!(
                    "\n   <!-- health and the state of the pair -->\n   <web>\n      \
                     <binding uri=\"http://{}:{port}\"/>\n   </web>\n",
                    escape(host)
                )
            }
        };
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <broker xmlns=\"http://activemq.apache.org/schema\">\n   \
             <jaas-security domain=\"activemq\"/>\n\n   \
             <server configuration=\"file:{path}\"/>\n{web}</broker>\n"
        )
    }
}

fn read(root: &View<'_, '_>) -> Bootstrap {
    // Reports attributes that do not belong there.
    root.attributes();
    let mut bootstrap = Bootstrap {
        broker_xml: String::new(),
        http: None,
    };
    let mut has_server = false;
    for child in root.children() {
        match child.name {
            "server" => {
                has_server = true;
                let configuration = child.required("configuration").unwrap_or_default();
                match configuration.strip_prefix("file:").and_then(url::decode) {
                    Some(path) => bootstrap.broker_xml = path,
                    None if configuration.is_empty() => {}
                    None => child.view.error(Problem::Value {
                        value: shown(&configuration),
                        expected: "file: and the path of broker.xml".to_owned(),
                    }),
                }
            }
            "web" => {
                let mut uri = child.optional("bind").map(|uri| (child.view.clone(), uri));
                for child in child.view.children() {
                    if child.name == "binding" {
                        // Its children are reported: none of them has an effect.
                        child.view.children();
                        uri = child.required("uri").map(|uri| (child.view.clone(), uri));
                    }
                }
                if let Some((view, uri)) = uri {
                    bootstrap.http = http_binding(&view, &uri);
                }
            }
            // `jaas-security` has only a value that must be the one it is.
            _ => {}
        }
    }
    if !has_server {
        root.error(Problem::MissingElement("server"));
    }
    bootstrap
}

fn http_binding(view: &View<'_, '_>, uri: &str) -> Option<HttpBinding> {
    let authority = uri
        .strip_prefix("http://")
        .map(|rest| rest.trim_end_matches('/'));
    let binding = authority.and_then(|authority| {
        let (host, port) = url::split_port(authority).ok()?;
        let port = match port {
            Some(port) => port.parse().ok()?,
            None => DEFAULT_PORT,
        };
        let is_host = !host.is_empty() && !host.contains(['/', '?', '#', '@']);
        is_host.then(|| HttpBinding {
            host: host.to_owned(),
            port,
        })
    });
    if binding.is_none() {
        let expected = "http://host:port; there is no https here".to_owned();
        view.error(Problem::Value {
            value: shown(uri),
            expected,
        });
    }
    binding
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<(Bootstrap, Vec<Notice>), ConfigErrors> {
        Bootstrap::parse("bootstrap.xml", text, &|name| {
            (name == "artemis.instance.etc").then(|| "/srv/live/etc".to_owned())
        })
    }

    #[test]
    fn what_is_written_is_read_back() {
        for http in [
            None,
            Some(HttpBinding {
                host: "::1".to_owned(),
                port: 8_261,
            }),
            Some(HttpBinding {
                host: "localhost".to_owned(),
                port: 8_161,
            }),
        ] {
            let (bootstrap, notices) =
                parse(&Bootstrap::new(http.clone()).to_text()).expect("good");
            assert_eq!(bootstrap.broker_xml, "/srv/live/etc/broker.xml");
            assert_eq!(bootstrap.http, http);
            assert_eq!(notices, [], "nothing is written that has no effect");
        }
    }

    #[test]
    fn a_file_of_artemis_is_read() {
        let text = "<broker xmlns=\"http://activemq.apache.org/schema\">\n\
            <jaas-security domain=\"activemq\"/>\n\
            <server configuration=\"file:/srv/my%20broker/etc//broker.xml\"/>\n\
            <web path=\"web\" rootRedirectLocation=\"console\">\n\
            <binding name=\"artemis\" uri=\"http://${HTTP_HOST:localhost}:8261\">\n\
            <app name=\"console\" url=\"console\" war=\"console.war\"/></binding></web></broker>";
        let (bootstrap, notices) = parse(text).expect("good");
        let http = HttpBinding {
            host: "localhost".to_owned(),
            port: 8_261,
        };
        let broker_xml = "/srv/my broker/etc//broker.xml".to_owned();
        assert_eq!(
            bootstrap,
            Bootstrap {
                broker_xml,
                http: Some(http)
            }
        );
        assert!(
            notices
                .iter()
                .any(|notice| notice.element.ends_with("app[console]"))
        );
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let message = |text| parse(text).expect_err(text).to_string();
        assert_eq!(
            message("<broker>\n<basic-security/>\n<serve/>\n</broker>"),
            "bootstrap.xml:1:1: broker: <server> is missing\n\
             bootstrap.xml:2:1: basic-security: users and roles are in login.config; write \
             <jaas-security domain=\"activemq\"/>\n\
             bootstrap.xml:3:1: serve: unknown element; did you mean 'server'?"
        );
        assert_eq!(
            message(
                "<broker><jaas-security domain=\"other\"/><server configuration=\"x\"/>\
                 <web><binding uri=\"https://h:1\" keyStorePath=\"k\"/></web></broker>"
            ),
            "bootstrap.xml:1:24: jaas-security/@domain: 'other' is not served, only 'activemq': it \
             is the realm of login.config\n\
             bootstrap.xml:1:40: server: 'x' must be file: and the path of broker.xml\n\
             bootstrap.xml:1:72: web/binding: 'https://h:1' must be http://host:port; there is no \
             https here\n\
             bootstrap.xml:1:99: web/binding/@keyStorePath: the HTTP port has no TLS: remove it, \
             and put a proxy in front if one is needed"
        );
        assert_eq!(
            message("<configuration/>"),
            "bootstrap.xml:1:1: broker: the root element must be <broker>"
        );
    }
}
