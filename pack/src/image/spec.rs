//! What one asks for.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use super::ImageError;
use crate::{
    layer::LayerRule,
    oci::{Architecture, HealthCheck, ImageName, Platform, Timestamp},
    rootfs::User,
};

/// The wishes for one image. Plain data; everything but the name has a default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSpec {
    /// The name.
    pub name: ImageName,
    /// What it runs on.
    pub platform: Platform,
    /// When the image claims to be made. The layers do not depend on it.
    pub created: Timestamp,
    /// The program and its fixed arguments. `None`: the program of the first package that is called as the package is, or its only program; for a set of
    /// packages of a distribution, what the set says, with its arguments.
    pub entrypoint: Option<Vec<String>>,
    /// Arguments that a user replaces.
    pub cmd: Vec<String>,
    /// The environment. `PATH` is `/bin` unless it is set here, and the usual directories where there is a set of packages of a distribution.
    pub env: BTreeMap<String, String>,
    /// Who the program is. `None`: whom the set of packages says whose program it is, else [`User::default`].
    pub user: Option<User>,
    /// Where the program starts; made if it is not there. `None`: where the base has its programs start, else `/`.
    pub working_directory: Option<String>,
    /// The ports that the program listens on; if there are none, those that a set says whose program it is.
    pub ports: BTreeSet<Port>,
    /// Directories for data; made with mode 1777, because the user of the image has to write there.
    pub volumes: BTreeSet<String>,
    /// Facts about the image.
    pub labels: BTreeMap<String, String>,
    /// Facts about the image for registries and tools; they replace those that an image would have.
    pub annotations: BTreeMap<String, String>,
    /// How to know whether a container is well.
    pub health_check: Option<HealthCheck>,
    /// The signal that ends the program, for instance `SIGQUIT`.
    pub stop_signal: Option<String>,
    /// Symbolic links, path → target. `None`: `/bin/<program>` for each program of the packages.
    pub links: Option<BTreeMap<String, String>>,
    /// Files, path → contents. They replace generated ones such as `/etc/hosts`.
    pub files: BTreeMap<String, FileSpec>,
    /// Layers that are asked for, before what the planner makes.
    pub layer_rules: Vec<LayerRule>,
}

impl ImageSpec {
    /// An image called `name`, for Linux on amd64, with every default.
    pub fn new(name: ImageName) -> Self {
        Self {
            name,
            platform: Platform::linux(Architecture::Amd64),
            created: Timestamp::default(),
            entrypoint: None,
            cmd: Vec::new(),
            env: BTreeMap::new(),
            user: None,
            working_directory: None,
            ports: BTreeSet::new(),
            volumes: BTreeSet::new(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            health_check: None,
            stop_signal: None,
            links: None,
            files: BTreeMap::new(),
            layer_rules: Vec::new(),
        }
    }

    /// Returns where the program starts.
    pub(crate) fn start_directory(&self) -> &str {
        self.working_directory.as_deref().unwrap_or("/")
    }
}

/// A file that an image asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSpec {
    /// Its bytes.
    pub contents: Vec<u8>,
    /// Whether its mode is 0755 rather than 0644.
    pub executable: bool,
}

/// A port and its protocol. Parsed from `8080` or `53/udp`, printed with the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port {
    number: u16,
    protocol: Protocol,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = match self.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Sctp => "sctp",
        };
        write!(f, "{}/{protocol}", self.number)
    }
}

impl FromStr for Port {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Self, ImageError> {
        let error = || ImageError::Port {
            text: text.to_owned(),
        };
        let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let protocol = match protocol {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            "sctp" => Protocol::Sctp,
            _ => return Err(error()),
        };
        let plain = number.bytes().all(|byte| byte.is_ascii_digit()) && !number.starts_with('0');
        let number = number.parse().ok().filter(|_| plain).ok_or_else(error)?;
        Ok(Self { number, protocol })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_have_a_protocol_and_are_never_zero() {
        for (text, printed) in [
            ("8080", "8080/tcp"),
            ("53/udp", "53/udp"),
            ("1/sctp", "1/sctp"),
        ] {
            assert_eq!(text.parse::<Port>().unwrap().to_string(), printed);
        }
        for text in ["", "0", "65536", "-1", "+1", "08", "80/", "80/icmp", "/tcp"] {
            assert!(text.parse::<Port>().is_err(), "{text:?}");
        }
    }
}
