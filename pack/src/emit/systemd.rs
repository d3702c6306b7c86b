//! A unit of systemd that runs the image with podman. systemd.service(5), systemd.syntax(7), podman-run(1).

use std::fmt::Write as _;

use super::deployment::{Deployment, LOW_PORTS};

/// Where podman is on every distribution that has it.
const PODMAN: &str = "/usr/bin/podman";

pub(super) fn document(app: &Deployment) -> String {
    let mut unit = format!(
        "[Unit]\n\
         Description={name}\n\
         Wants=network-online.target\n\
         After=network-online.target\n\
         \n\
         [Service]\n\
         Type=notify\n\
         NotifyAccess=all\n\
         Restart=on-failure\n\
         TimeoutStartSec=300\n\
         ExecStart={PODMAN}",
        name = app.name
    );
    for word in arguments(app) {
        // Writing to a String cannot fail.
        let _ = write!(unit, " \\\n    {}", quoted(&word));
    }
    unit.push_str("\n\n[Install]\nWantedBy=multi-user.target\n");
    unit
}

fn arguments(app: &Deployment) -> Vec<String> {
    let mut words: Vec<String> = [
        "run",
        "--rm",
        "--replace",
        "--sdnotify=conmon",
        "--cgroups=split",
        "--read-only",
        "--read-only-tmpfs=false",
        "--tmpfs=/tmp:rw,nosuid,nodev,noexec,mode=1777",
        "--cap-drop=all",
        "--security-opt=no-new-privileges",
    ]
    .map(str::to_owned)
    .into();
    words.push(format!("--name={}", app.name));
    words.push(format!("--user={}:{}", app.uid, app.gid));
    if app.has_low_port() {
        let (name, value) = LOW_PORTS;
        words.push(format!("--sysctl={name}={value}"));
    }
    for port in &app.ports {
        let (number, protocol) = (port.number, &port.protocol);
        words.push(format!("--publish={number}:{number}/{protocol}"));
    }
    for volume in &app.volumes {
        words.push(format!("--volume={}:{}", volume.name, volume.path));
    }
    if let Some((check, command)) = app.health_check.as_ref().zip(app.health_command()) {
        // A list in JSON is a command without a shell.
        let command = serde_json::Value::from(command);
        words.push(format!("--health-cmd={command}"));
        let time = |flag: &str, time: Option<u64>| {
            time.map(|nanoseconds| format!("--health-{flag}={}us", nanoseconds / 1000))
        };
        words.extend(time("interval", check.interval));
        words.extend(time("timeout", check.timeout));
        words.extend(time("start-period", check.start_period));
        words.extend(
            check
                .retries
                .map(|retries| format!("--health-retries={retries}")),
        );
    }
    if let Some(signal) = &app.stop_signal {
        words.push(format!("--stop-signal={signal}"));
    }
    words.push(app.reference.clone());
    words
}

/// A word of a command line: `%` begins a specifier, `$` a variable, and quotes and backslashes are C's.
fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=/:.,@+".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    let mut quoted = String::from('"');
    for character in word.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '%' | '$' => quoted.extend([character, character]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            control if control.is_ascii_control() => {
                let _ = write!(quoted, "\\x{:02x}", u32::from(control));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemd_would_expand_is_escaped() {
        for (word, expected) in [
            ("--a=b:1/c@sha256:0", "--a=b:1/c@sha256:0"),
            ("", "\"\""),
            ("a b", "\"a b\""),
            ("50%$x\"\\", "\"50%%$$x\\\"\\\\\""),
            ("a\nb", "\"a\\nb\""),
        ] {
            assert_eq!(quoted(word), expected);
        }
    }
}
