//! The command line of `create`.
//!
//! Read by hand, because of one thing no argument parser does: people write `--allow-anonymous y`,
//! as old versions of Artemis let them. A detached `y`, `yes`, `true`, `n`, `no` or `false` after a
//! boolean flag is its value, but only if another word follows that can be the folder.

mod error;

use std::collections::BTreeMap;

use super::flags::{self, Effect, Flag};
use super::{ClusterOptions, CreateOptions, HaOptions};
use crate::bootstrap_xml::HttpBinding;
use crate::configuration::{Connector, MessageLoadBalancing, RoutingType};
use crate::suggest;
use crate::url;

const DEFAULT_PORT: u16 = 61_616;
const DEFAULT_HTTP_PORT: u16 = 8_161;
const DEFAULT_ROLE: &str = "amq";
/// The one flag that may be given more than once.
const REPEATABLE: &str = "--java-options";

pub use error::ArgsError;

/// What the command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// The help text, see [`super::help`].
    Help,
    /// An instance.
    Create(Box<CreateOptions>),
}

/// Reads the words after `create`.
pub fn parse_args(args: &[String]) -> Result<Request, ArgsError> {
    if args.iter().any(|arg| arg == "--help" || arg == "-h") {
        return Ok(Request::Help);
    }
    let words = Words::read(args)?;
    words
        .options()
        .map(|options| Request::Create(Box::new(options)))
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "y" | "yes" | "true" => Some(true),
        "n" | "no" | "false" => Some(false),
        _ => None,
    }
}

/// The flags that were given, and the folder.
struct Words {
    flags: BTreeMap<&'static str, String>,
    folder: String,
    without_effect: Vec<(&'static str, &'static str)>,
}

impl Words {
    fn read(args: &[String]) -> Result<Self, ArgsError> {
        let mut flags = BTreeMap::new();
        let mut without_effect = Vec::new();
        let mut folder: Option<String> = None;
        let mut at = 0;
        while let Some(word) = args.get(at) {
            at += 1;
            if !is_flag(word) {
                match folder {
                    None => folder = Some(word.clone()),
                    Some(folder) => {
                        return Err(ArgsError::Surplus {
                            word: word.clone(),
                            folder,
                        });
                    }
                }
                continue;
            }
            let (name, attached) = split(word);
            let Some(flag) = flags::find(name) else {
                let suggestion = suggest::nearest(name, flags::names()).map(str::to_owned);
                return Err(ArgsError::Unknown {
                    flag: name.to_owned(),
                    suggestion,
                });
            };
            let value = match (attached, flag.value) {
                (Some(value), _) => value.to_owned(),
                (None, Some(value)) => {
                    let Some(next) = args.get(at).filter(|next| !is_flag(next)) else {
                        return Err(ArgsError::NoValue {
                            flag: flag.name,
                            value,
                        });
                    };
                    at += 1;
                    next.clone()
                }
                (None, None) => match detached(args, at) {
                    Some(value) => {
                        at += 1;
                        value
                    }
                    None => "true".to_owned(),
                },
            };
            match flag.effect {
                Effect::Does(_) => {}
                Effect::None(why) => without_effect.push((flag.name, why)),
                Effect::Refused(why) => {
                    return Err(ArgsError::Refused {
                        flag: flag.name,
                        why,
                    });
                }
            }
            if flags.insert(flag.name, checked(flag, value)?).is_some() && flag.name != REPEATABLE {
                return Err(ArgsError::Twice { flag: flag.name });
            }
        }
        without_effect.dedup();
        Ok(Self {
            flags,
            folder: folder.ok_or(ArgsError::NoFolder)?,
            without_effect,
        })
    }

    fn options(mut self) -> Result<CreateOptions, ArgsError> {
        let ha = self.ha()?;
        let static_peers = self.static_peers()?;
        let is_clustered =
            self.is_set("--clustered") || ha != HaOptions::None || static_peers.is_some();
        let host = match self.take("--host") {
            Some(host) if !(is_clustered && host == "0.0.0.0") => host,
            // In a cluster the others must be told an address that means something to them.
            Some(_) | None if is_clustered => "localhost".to_owned(),
            Some(_) | None => "0.0.0.0".to_owned(),
        };
        let offset = self.number("--port-offset", 0, "a number from 0 to 65535")?;
        let port = self.port("--default-port", DEFAULT_PORT, offset)?;
        let http_port = self.port("--http-port", DEFAULT_HTTP_PORT, offset)?;
        let http_host = self
            .take("--http-host")
            .unwrap_or_else(|| "localhost".to_owned());
        let http = HttpBinding {
            host: http_host,
            port: http_port,
        };
        let (allow_anonymous, user, password) = self.first_user(is_clustered)?;
        let cluster = self.cluster(is_clustered, static_peers)?;
        if self.is_set("--autocreate") && self.is_set("--no-autocreate") {
            let (one, other) = ("--autocreate", "--no-autocreate");
            return Err(ArgsError::Contradiction { one, other });
        }
        let auto_create = match self.flag("--autocreate") {
            Some(wanted) => wanted,
            None => !self.is_set("--no-autocreate"),
        };
        Ok(CreateOptions {
            force: self.is_set("--force"),
            name: self.take("--name").unwrap_or_else(|| host.clone()),
            host,
            port,
            http: (!self.is_set("--no-web")).then_some(http),
            user,
            password,
            role: self
                .take("--role")
                .unwrap_or_else(|| DEFAULT_ROLE.to_owned()),
            allow_anonymous,
            cluster,
            ha,
            data: self.take("--data").unwrap_or_else(|| "data".to_owned()),
            queues: self.queues()?,
            addresses: self.list("--addresses"),
            auto_create,
            auto_delete: self.is_set("--autodelete"),
            directory: self.folder,
            without_effect: self.without_effect,
        })
    }

    fn ha(&mut self) -> Result<HaOptions, ArgsError> {
        let (shared, replicated) = (self.is_set("--shared-store"), self.is_set("--replicated"));
        let backup = self.is_set("--backup");
        let failover_on_shutdown = self.is_set("--failover-on-shutdown");
        match (shared, replicated) {
            (true, true) => {
                let (one, other) = ("--shared-store", "--replicated");
                Err(ArgsError::Contradiction { one, other })
            }
            (true, false) => Ok(HaOptions::SharedStore {
                backup,
                failover_on_shutdown,
            }),
            (false, true) => {
                if failover_on_shutdown {
                    let why = "a replicated broker that is stopped always fails over";
                    self.without_effect.push(("--failover-on-shutdown", why));
                }
                Ok(HaOptions::Replicated { backup })
            }
            (false, false) => {
                let why = "it counts only with --shared-store or --replicated";
                let given = [
                    ("--backup", backup),
                    ("--failover-on-shutdown", failover_on_shutdown),
                ];
                let given = given.into_iter().filter(|(_, given)| *given);
                self.without_effect
                    .extend(given.map(|(flag, _)| (flag, why)));
                Ok(HaOptions::None)
            }
        }
    }

    fn static_peers(&mut self) -> Result<Option<Vec<Connector>>, ArgsError> {
        let Some(urls) = self.take("--static-cluster") else {
            return Ok(None);
        };
        let urls = urls
            .trim_start_matches('(')
            .trim_end_matches(')')
            .split(',')
            .enumerate();
        let peers = urls.map(|(index, text)| {
            let url = url::parse(text.trim()).ok().filter(|url| url.port != 0);
            let url = url.ok_or_else(|| ArgsError::Value {
                flag: "--static-cluster",
                value: text.to_owned(),
                expected: "addresses separated by commas, each tcp://host:port",
            })?;
            let name = format!("node{index}");
            Ok(Connector {
                name,
                host: url.host,
                port: url.port,
                parameters: url.parameters,
            })
        });
        peers.collect::<Result<_, _>>().map(Some)
    }

    /// Whether anonymous access is allowed, and the first user with the password.
    fn first_user(&mut self, is_clustered: bool) -> Result<(bool, String, String), ArgsError> {
        let (allow, require) = (self.flag("--allow-anonymous"), self.flag("--require-login"));
        if allow == Some(true) && require == Some(true) {
            let (one, other) = ("--allow-anonymous", "--require-login");
            return Err(ArgsError::Contradiction { one, other });
        }
        let silent = self.is_set("--silent");
        // Nobody is let in without a password unless somebody said so.
        let allow_anonymous = match (allow, require) {
            (Some(allow), _) => allow,
            (None, Some(require)) => !require,
            (None, None) => silent,
        };
        let mut needed = vec!["--user", "--password"];
        if is_clustered {
            needed.extend(["--cluster-user", "--cluster-password"]);
        }
        needed.retain(|flag| !self.flags.contains_key(flag));
        if !silent && !needed.is_empty() {
            return Err(ArgsError::Missing(needed));
        }
        let user = self.take("--user").unwrap_or_else(|| "admin".to_owned());
        let password = self
            .take("--password")
            .unwrap_or_else(|| "admin".to_owned());
        Ok((allow_anonymous, user, password))
    }

    fn cluster(
        &mut self,
        is_clustered: bool,
        static_peers: Option<Vec<Connector>>,
    ) -> Result<Option<ClusterOptions>, ArgsError> {
        let user = self
            .take("--cluster-user")
            .unwrap_or_else(|| "cluster-admin".to_owned());
        let password = self
            .take("--cluster-password")
            .unwrap_or_else(|| "password-admin".to_owned());
        let max_hops = self.number("--max-hops", 1, "a number from 0 to 65535")?;
        let policy = self
            .take("--message-load-balancing")
            .unwrap_or_else(|| "ON_DEMAND".to_owned());
        let Some(message_load_balancing) = MessageLoadBalancing::from_name(&policy) else {
            return Err(ArgsError::Value {
                flag: "--message-load-balancing",
                value: policy,
                expected: "OFF, STRICT, ON_DEMAND or OFF_WITH_REDISTRIBUTION",
            });
        };
        Ok(is_clustered.then(|| ClusterOptions {
            user,
            password,
            max_hops: max_hops.into(),
            message_load_balancing,
            static_peers,
        }))
    }

    fn queues(&mut self) -> Result<Vec<(String, RoutingType)>, ArgsError> {
        let queues = self.list("--queues").into_iter().map(|text| {
            let (name, kind) = text.rsplit_once(':').unwrap_or((&text, "anycast"));
            let routing_type = RoutingType::from_name(kind).filter(|_| !name.is_empty());
            let routing_type = routing_type.ok_or_else(|| ArgsError::Value {
                flag: "--queues",
                value: text.clone(),
                expected: "names separated by commas, each with :anycast, :multicast or nothing",
            })?;
            Ok((name.to_owned(), routing_type))
        });
        queues.collect()
    }

    fn list(&mut self, flag: &'static str) -> Vec<String> {
        let text = self.take(flag).unwrap_or_default();
        let items = text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty());
        items.map(str::to_owned).collect()
    }

    fn port(&mut self, flag: &'static str, default: u16, offset: u16) -> Result<u16, ArgsError> {
        let expected = "a port from 1 to 65535";
        let port = self.number(flag, default, expected)?;
        if port == 0 {
            return Err(ArgsError::Value {
                flag,
                value: "0".to_owned(),
                expected,
            });
        }
        port.checked_add(offset)
            .ok_or(ArgsError::Offset { port, offset })
    }

    fn number(
        &mut self,
        flag: &'static str,
        default: u16,
        expected: &'static str,
    ) -> Result<u16, ArgsError> {
        match self.take(flag) {
            None => Ok(default),
            Some(value) => value.parse().map_err(|_| ArgsError::Value {
                flag,
                value,
                expected,
            }),
        }
    }

    fn take(&mut self, flag: &str) -> Option<String> {
        self.flags.remove(flag)
    }

    fn flag(&self, flag: &str) -> Option<bool> {
        self.flags.get(flag).and_then(|value| boolean(value))
    }

    fn is_set(&self, flag: &str) -> bool {
        self.flag(flag) == Some(true)
    }
}

fn is_flag(word: &str) -> bool {
    word.starts_with("--")
}

fn split(word: &str) -> (&str, Option<&str>) {
    word.split_once('=')
        .map_or((word, None), |(name, value)| (name, Some(value)))
}

/// The value of a boolean flag that ends before `at`, if the next word is one and not the folder.
fn detached(args: &[String], at: usize) -> Option<String> {
    let word = args.get(at)?;
    boolean(word)?;
    folder_follows(args, at + 1).then(|| word.clone())
}

/// Whether a word from `at` on is neither a flag nor the value of one.
fn folder_follows(args: &[String], mut at: usize) -> bool {
    while let Some(word) = args.get(at) {
        if !is_flag(word) {
            return true;
        }
        let (name, attached) = split(word);
        let takes_next = attached.is_none() && flags::find(name).is_some_and(|f| f.value.is_some());
        at += if takes_next { 2 } else { 1 };
    }
    false
}

fn checked(flag: &Flag, value: String) -> Result<String, ArgsError> {
    let expected = match flag.value {
        None if boolean(&value).is_none() => "y, yes, true, n, no or false",
        Some(_) if value.is_empty() => "something: it must not be empty",
        None | Some(_) => return Ok(value),
    };
    Err(ArgsError::Value {
        flag: flag.name,
        value,
        expected,
    })
}

#[cfg(test)]
mod tests;
