//! For `docker compose` and `podman compose`. Compose specification, 05-services.md and 07-volumes.md.

use super::{
    deployment::{Deployment, LOW_PORTS},
    yaml::Yaml,
};

pub(super) fn document(app: &Deployment) -> String {
    let text = |text: &str| Some(Yaml::text(escape(text)));
    let ports = app.ports.iter().map(|port| {
        let (number, protocol) = (port.number, &port.protocol);
        format!("{number}:{number}/{protocol}")
    });
    let volumes = app.volumes.iter().map(|volume| {
        Yaml::map([
            ("type", text("volume")),
            ("source", text(&volume.name)),
            ("target", text(&volume.path)),
        ])
    });
    let declared = app.volumes.iter();
    let declared = declared.map(|volume| (volume.name.clone(), Yaml::Map(Vec::new())));
    let (sysctl, value) = LOW_PORTS;
    let service = Yaml::map([
        ("image", text(&app.reference)),
        ("user", text(&format!("{}:{}", app.uid, app.gid))),
        ("read_only", Some(Yaml::Bool(true))),
        ("cap_drop", Some(Yaml::texts(["ALL"]))),
        (
            "security_opt",
            Some(Yaml::texts(["no-new-privileges:true"])),
        ),
        ("tmpfs", Some(Yaml::texts(["/tmp"]))),
        (
            "sysctls",
            app.has_low_port()
                .then(|| Yaml::map([(sysctl, text(value))])),
        ),
        ("ports", Yaml::texts(ports).some()),
        ("volumes", Yaml::List(volumes.collect()).some()),
        ("healthcheck", health_check(app)),
        ("stop_signal", app.stop_signal.as_deref().and_then(text)),
        ("restart", text("unless-stopped")),
    ]);
    let document = Yaml::map([
        (
            "services",
            Some(Yaml::Map(vec![(app.name.clone(), service)])),
        ),
        ("volumes", Yaml::Map(declared.collect()).some()),
    ]);
    document.to_document()
}

fn health_check(app: &Deployment) -> Option<Yaml> {
    let check = app.health_check.as_ref()?;
    let time = |time: Option<u64>| {
        // Compose counts in microseconds and up.
        time.map(|nanoseconds| Yaml::text(format!("{}us", nanoseconds / 1000)))
    };
    Some(Yaml::map([
        (
            "test",
            Some(Yaml::texts(check.test.iter().map(|word| escape(word)))),
        ),
        ("interval", time(check.interval)),
        ("timeout", time(check.timeout)),
        ("start_period", time(check.start_period)),
        (
            "retries",
            check.retries.map(|retries| Yaml::Number(retries.into())),
        ),
    ]))
}

/// A `$` would begin a variable.
fn escape(text: &str) -> String {
    text.replace('$', "$$")
}
