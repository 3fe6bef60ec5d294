//! `etc/login.config`: which files hold users and roles, and whether nobody may come in as guest.
//!
//! The syntax is that of Java's login configuration:
//! `realm { module flag key=value key="value"; … };`. Two modules are served, the properties files
//! and the guest; any other is refused, because leaving it out would change who gets in.

use std::fmt::Write as _;

use thiserror::Error;

/// Realm that is read.
const REALM: &str = "activemq";
const PROPERTIES_MODULE: &str =
    "org.apache.activemq.artemis.spi.core.security.jaas.PropertiesLoginModule";
const GUEST_MODULE: &str = "org.apache.activemq.artemis.spi.core.security.jaas.GuestLoginModule";
const USERS_KEY: &str = "org.apache.activemq.jaas.properties.user";
const ROLES_KEY: &str = "org.apache.activemq.jaas.properties.role";
const GUEST_USER_KEY: &str = "org.apache.activemq.jaas.guest.user";
const GUEST_ROLE_KEY: &str = "org.apache.activemq.jaas.guest.role";
/// A login configuration has a few hundred bytes.
const MAX_TEXT_BYTES: usize = 1024 * 1024;

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginConfig {
    /// Name of the users file, relative to `etc`.
    pub users_file: String,
    /// Name of the roles file, relative to `etc`.
    pub roles_file: String,
    /// Who a client without user and password is; absent: refused.
    pub guest: Option<Guest>,
}

/// Who a client without user and password is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guest {
    /// The user.
    pub user: String,
    /// The user's one role.
    pub role: String,
}

/// What can be wrong with the file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LoginConfigError {
    /// The file is larger than any such file should be.
    #[error("{file}: the file has {bytes} bytes; at most {MAX_TEXT_BYTES} are read")]
    TooLarge {
        /// The file.
        file: String,
        /// Its size.
        bytes: usize,
    },
    /// Something else was expected.
    #[error("{file}:{line}: expected {expected}, found {found}")]
    Syntax {
        /// The file.
        file: String,
        /// Where.
        line: usize,
        /// What should be there.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// The realm that the broker uses is not there.
    #[error("{file}: realm '{REALM}' is missing")]
    NoRealm {
        /// The file.
        file: String,
    },
    /// A login module that is not served.
    #[error(
        "{file}:{line}: login module '{class}' is not served; PropertiesLoginModule and \
         GuestLoginModule are"
    )]
    Module {
        /// The file.
        file: String,
        /// Where.
        line: usize,
        /// Its class.
        class: String,
    },
    /// There is no module for users.
    #[error("{file}: realm '{REALM}' has no PropertiesLoginModule: nobody could log in")]
    NoUsers {
        /// The file.
        file: String,
    },
    /// A module that is there twice.
    #[error("{file}:{line}: a second {class} in realm '{REALM}' is not served; remove one")]
    Twice {
        /// The file.
        file: String,
        /// Where.
        line: usize,
        /// Its class.
        class: &'static str,
    },
}

impl LoginConfig {
    /// What `create` writes.
    pub fn new(guest: Option<Guest>) -> Self {
        Self {
            users_file: "artemis-users.properties".to_owned(),
            roles_file: "artemis-roles.properties".to_owned(),
            guest,
        }
    }

    /// Reads the file's text.
    pub fn parse(file: &str, text: &str) -> Result<Self, LoginConfigError> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(LoginConfigError::TooLarge {
                file: file.to_owned(),
                bytes: text.len(),
            });
        }
        let mut reader = Reader {
            file,
            rest: text,
            line: 1,
        };
        let mut found = None;
        while let Some(realm) = reader.next()? {
            reader.expect("{", "'{' after the name of a realm")?;
            let modules = reader.modules()?;
            if realm == Token::Text(REALM.to_owned()) {
                found = Some(modules);
            }
        }
        let Some(modules) = found else {
            return Err(LoginConfigError::NoRealm {
                file: file.to_owned(),
            });
        };
        from_modules(file, modules)
    }

    /// The file's text.
    pub fn to_text(&self) -> String {
        let control = if self.guest.is_some() {
            "sufficient"
        } else {
            "required"
        };
        let mut text = format!(
            "{REALM} {{\n   {PROPERTIES_MODULE} {control}\n       \
             {USERS_KEY}={}\n       {ROLES_KEY}={};\n",
            quote(&self.users_file),
            quote(&self.roles_file),
        );
        if let Some(Guest { user, role }) = &self.guest {
            // Writing to a string cannot fail.
            let _ = write!(
                text,
                "\n   {GUEST_MODULE} sufficient\n       \
                 {GUEST_USER_KEY}={}\n       {GUEST_ROLE_KEY}={};\n",
                quote(user),
                quote(role),
            );
        }
        text.push_str("};\n");
        text
    }
}

struct Module {
    line: usize,
    class: String,
    options: Vec<(String, String)>,
}

impl Module {
    fn option(&self, key: &str, default: &str) -> String {
        let option = self.options.iter().find(|(name, _)| name == key);
        option.map_or_else(|| default.to_owned(), |(_, value)| value.clone())
    }
}

fn from_modules(file: &str, modules: Vec<Module>) -> Result<LoginConfig, LoginConfigError> {
    let mut login = LoginConfig::new(None);
    let mut has_users = false;
    for module in modules {
        let twice = |class| LoginConfigError::Twice {
            file: file.to_owned(),
            line: module.line,
            class,
        };
        // Both the full name and the bare class are in use.
        match module.class.rsplit('.').next() {
            Some("PropertiesLoginModule") => {
                if has_users {
                    return Err(twice("PropertiesLoginModule"));
                }
                has_users = true;
                login.users_file = module.option(USERS_KEY, &login.users_file);
                login.roles_file = module.option(ROLES_KEY, &login.roles_file);
            }
            Some("GuestLoginModule") => {
                if login.guest.is_some() {
                    return Err(twice("GuestLoginModule"));
                }
                login.guest = Some(Guest {
                    user: module.option(GUEST_USER_KEY, "guest"),
                    role: module.option(GUEST_ROLE_KEY, "guests"),
                });
            }
            Some(_) | None => {
                return Err(LoginConfigError::Module {
                    file: file.to_owned(),
                    line: module.line,
                    class: module.class,
                });
            }
        }
    }
    if has_users {
        Ok(login)
    } else {
        Err(LoginConfigError::NoUsers {
            file: file.to_owned(),
        })
    }
}

fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    /// A word or a quoted text.
    Text(String),
    /// One of `{ } ; =`.
    Sign(char),
}

impl Token {
    fn shown(token: Option<&Self>) -> String {
        match token {
            Some(Self::Text(text)) => format!("'{text}'"),
            Some(Self::Sign(sign)) => format!("'{sign}'"),
            None => "the end of the file".to_owned(),
        }
    }
}

struct Reader<'a> {
    file: &'a str,
    rest: &'a str,
    line: usize,
}

impl Reader<'_> {
    fn modules(&mut self) -> Result<Vec<Module>, LoginConfigError> {
        let mut modules = Vec::new();
        loop {
            let class = match self.next()? {
                Some(Token::Sign('}')) => {
                    self.expect(";", "';' after the realm's '}'")?;
                    return Ok(modules);
                }
                Some(Token::Text(class)) => class,
                other => return Err(self.unexpected("a login module or '}'", other.as_ref())),
            };
            let line = self.line;
            match self.next()? {
                Some(Token::Text(flag))
                    if ["required", "requisite", "sufficient", "optional"]
                        .iter()
                        .any(|known| flag.eq_ignore_ascii_case(known)) => {}
                other => {
                    let expected = "required, requisite, sufficient or optional";
                    return Err(self.unexpected(expected, other.as_ref()));
                }
            }
            modules.push(Module {
                line,
                class,
                options: self.options()?,
            });
        }
    }

    fn options(&mut self) -> Result<Vec<(String, String)>, LoginConfigError> {
        let mut options = Vec::new();
        loop {
            let key = match self.next()? {
                Some(Token::Sign(';')) => return Ok(options),
                Some(Token::Text(key)) => key,
                other => return Err(self.unexpected("an option or ';'", other.as_ref())),
            };
            self.expect("=", "'=' after the name of an option")?;
            match self.next()? {
                Some(Token::Text(value)) => options.push((key, value)),
                other => return Err(self.unexpected("the value of an option", other.as_ref())),
            }
        }
    }

    fn expect(&mut self, sign: &str, expected: &'static str) -> Result<(), LoginConfigError> {
        match self.next()? {
            Some(Token::Sign(found)) if sign.starts_with(found) => Ok(()),
            other => Err(self.unexpected(expected, other.as_ref())),
        }
    }

    fn unexpected(&self, expected: &'static str, found: Option<&Token>) -> LoginConfigError {
        LoginConfigError::Syntax {
            file: self.file.to_owned(),
            line: self.line,
            expected,
            found: Token::shown(found),
        }
    }

    fn next(&mut self) -> Result<Option<Token>, LoginConfigError> {
        self.skip_blanks_and_comments()?;
        let Some(first) = self.rest.chars().next() else {
            return Ok(None);
        };
        if matches!(first, '{' | '}' | ';' | '=') {
            self.take(first.len_utf8());
            return Ok(Some(Token::Sign(first)));
        }
        if first == '"' {
            return self.quoted().map(Some);
        }
        let is_end = |c: char| c.is_whitespace() || matches!(c, '{' | '}' | ';' | '=' | '"');
        let end = self.rest.find(is_end).unwrap_or(self.rest.len());
        Ok(Some(Token::Text(self.take(end).to_owned())))
    }

    fn quoted(&mut self) -> Result<Token, LoginConfigError> {
        self.take(1);
        let mut text = String::new();
        let mut characters = self.rest.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.take(at + 1);
                    return Ok(Token::Text(text));
                }
                '\\' => text.extend(characters.next().map(|(_, escaped)| escaped)),
                other => text.push(other),
            }
        }
        Err(self.unexpected("a closing '\"'", None))
    }

    fn skip_blanks_and_comments(&mut self) -> Result<(), LoginConfigError> {
        loop {
            let blanks = self.rest.len() - self.rest.trim_start().len();
            self.take(blanks);
            let end = if self.rest.starts_with("//") {
                self.rest.find('\n').unwrap_or(self.rest.len())
            } else if self.rest.starts_with("/*") {
                match self.rest.find("*/") {
                    Some(end) => end + 2,
                    None => return Err(self.unexpected("'*/' at the end of a comment", None)),
                }
            } else {
                return Ok(());
            };
            self.take(end);
        }
    }

    fn take(&mut self, bytes: usize) -> &str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_make_the_round_trip() {
        let guest = Guest {
            user: "a \"b\" \\".to_owned(),
            role: "amq".to_owned(),
        };
        for login in [LoginConfig::new(None), LoginConfig::new(Some(guest))] {
            assert_eq!(
                LoginConfig::parse("login.config", &login.to_text()),
                Ok(login)
            );
        }
    }

    #[test]
    fn other_realms_comments_and_options_are_passed_over() {
        let text = "/* kept\n by hand */\nother { com.example.Other required; };\n\
                    activemq {\n // users\n  PropertiesLoginModule REQUIRED debug=\"true\"\n \
                    org.apache.activemq.jaas.properties.user=\"u.properties\";\n};";
        let login = LoginConfig::parse("login.config", text).expect("good text");
        assert_eq!(login.users_file, "u.properties");
        assert_eq!(login.roles_file, "artemis-roles.properties");
        assert_eq!(login.guest, None);
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        let message = |text| {
            LoginConfig::parse("login.config", text)
                .expect_err(text)
                .to_string()
        };
        assert_eq!(
            message("other { };"),
            "login.config: realm 'activemq' is missing"
        );
        assert_eq!(
            message("activemq {\n};"),
            "login.config: realm 'activemq' has no PropertiesLoginModule: nobody could log in"
        );
        assert_eq!(
            message("activemq {\n  com.example.LDAPLoginModule required;\n};"),
            "login.config:2: login module 'com.example.LDAPLoginModule' is not served; \
             PropertiesLoginModule and GuestLoginModule are"
        );
        assert_eq!(
            message("activemq {\n  PropertiesLoginModule debug=true;\n};"),
            "login.config:2: expected required, requisite, sufficient or optional, found 'debug'"
        );
        assert_eq!(
            message("activemq {\n  PropertiesLoginModule required a=\"x"),
            "login.config:2: expected a closing '\"', found the end of the file"
        );
        assert_eq!(
            message(
                "activemq { PropertiesLoginModule required;\nPropertiesLoginModule required;};"
            ),
            "login.config:2: a second PropertiesLoginModule in realm 'activemq' is not served; \
             remove one"
        );
        assert_eq!(
            message("/* activemq"),
            "login.config:1: expected '*/' at the end of a comment, found the end of the file"
        );
    }
}
