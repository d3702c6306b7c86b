//! What the documents say, before it is put into anybody's words.

use crate::{Image, oci::HealthCheck};

/// The longest name of a service or volume: a label of DNS.
const MAX_NAME: usize = 63;
/// Ports below this are not open to everybody, unless a container's kernel is told otherwise.
const FIRST_OPEN_PORT: u16 = 1024;

/// A port in a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OpenPort {
    pub(super) number: u16,
    /// `tcp`, `udp` or `sctp`.
    pub(super) protocol: String,
}

/// A directory that outlives a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Volume {
    pub(super) name: String,
    pub(super) path: String,
}

/// One image as it is to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Deployment {
    pub(super) name: String,
    pub(super) reference: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) ports: Vec<OpenPort>,
    pub(super) volumes: Vec<Volume>,
    pub(super) health_check: Option<HealthCheck>,
    pub(super) stop_signal: Option<String>,
}

impl Deployment {
    pub(super) fn new(image: &Image<'_>, reference: &str) -> Self {
        let run = &image.config().config;
        let name = label(image.name().base_name(), MAX_NAME);
        let ports = run.exposed_ports.keys().filter_map(|port| {
            let (number, protocol) = port.split_once('/')?;
            Some(OpenPort {
                number: number.parse().ok()?,
                protocol: protocol.to_owned(),
            })
        });
        let mut ports: Vec<OpenPort> = ports.collect();
        ports.sort_by(|a, b| (a.number, &a.protocol).cmp(&(b.number, &b.protocol)));
        let volumes = run.volumes.keys().enumerate().map(|(index, path)| {
            // The number keeps `/a/b` and `/a-b` apart.
            let number = index.to_string();
            let inner = path.trim_start_matches('/').to_lowercase();
            let inner = label(&inner, MAX_NAME - name.len().min(30) - number.len() - 2);
            let short = label(&name, 30);
            Volume {
                name: format!("{short}-{inner}-{number}"),
                path: path.clone(),
            }
        });
        Self {
            volumes: volumes.collect(),
            reference: reference.to_owned(),
            uid: image.user.uid(),
            gid: image.user.gid(),
            ports,
            health_check: run.health_check.clone(),
            stop_signal: run.stop_signal.clone(),
            name,
        }
    }

    /// Whether the program listens where only root may, as far as the machine's own network goes.
    pub(super) fn has_low_port(&self) -> bool {
        self.ports.iter().any(|port| port.number < FIRST_OPEN_PORT)
    }

    /// The command that says whether a container is well.
    pub(super) fn health_command(&self) -> Option<&[String]> {
        let check = self.health_check.as_ref()?;
        check.test.get(1..).filter(|command| !command.is_empty())
    }
}

/// The sysctl that opens low ports, and its value.
pub(super) const LOW_PORTS: (&str, &str) = ("net.ipv4.ip_unprivileged_port_start", "0");

/// Whole seconds of a time in nanoseconds, at least one.
pub(super) fn seconds(nanoseconds: u64) -> u64 {
    nanoseconds.div_ceil(1_000_000_000).max(1)
}

/// A text as a label of DNS.
fn label(text: &str, max: usize) -> String {
    let plain = |byte: u8| {
        if byte.is_ascii_lowercase() || byte.is_ascii_digit() {
            char::from(byte)
        } else {
            '-'
        }
    };
    let text: String = text.bytes().map(plain).take(max).collect();
    let text = text.trim_matches('-');
    if text.starts_with(|first: char| first.is_ascii_lowercase()) {
        return text.to_owned();
    }
    // Names of services begin with a letter.
    let text: String = ["app-", text].concat().chars().take(max).collect();
    text.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_what_dns_has() {
        for (text, expected) in [
            ("hello", "hello"),
            ("my_app.v2", "my-app-v2"),
            ("7zip", "app-7zip"),
            ("--", "app"),
            ("Äpfel", "pfel"),
        ] {
            assert_eq!(label(text, MAX_NAME), expected, "{text}");
        }
        assert_eq!(label(&"a".repeat(99), MAX_NAME).len(), MAX_NAME);
    }

    #[test]
    fn parts_of_a_second_are_rounded_up() {
        assert_eq!(
            [0, 1, 1_000_000_000, 1_000_000_001].map(seconds),
            [1, 1, 1, 2]
        );
    }
}
