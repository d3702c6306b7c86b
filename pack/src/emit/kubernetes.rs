//! For Kubernetes: a deployment, a service where there are ports, a claim for each volume. API `apps/v1` and `v1`; the pod fits the restricted level of the
//! pod security standards.

use super::{
    deployment::{Deployment, LOW_PORTS, OpenPort, Volume, seconds},
    yaml::Yaml,
};

/// How much a volume asks for; whoever needs more says so.
const VOLUME_SIZE: &str = "1Gi";

pub(super) fn document(app: &Deployment) -> String {
    let claims = app.volumes.iter().map(claim);
    let service = (!app.ports.is_empty()).then(|| service(app));
    let documents = claims.chain([deployment(app)]).chain(service);
    let documents: Vec<String> = documents.map(|one| one.to_document()).collect();
    documents.join("---\n")
}

fn text(text: &str) -> Option<Yaml> {
    Some(Yaml::text(text))
}

fn metadata(name: &str, app: &str) -> Option<Yaml> {
    Some(Yaml::map([("name", text(name)), ("labels", labels(app))]))
}

fn labels(app: &str) -> Option<Yaml> {
    Some(Yaml::map([("app.kubernetes.io/name", text(app))]))
}

fn claim(volume: &Volume) -> Yaml {
    let requests = Yaml::map([("storage", text(VOLUME_SIZE))]);
    Yaml::map([
        ("apiVersion", text("v1")),
        ("kind", text("PersistentVolumeClaim")),
        ("metadata", Some(Yaml::map([("name", text(&volume.name))]))),
        (
            "spec",
            Some(Yaml::map([
                ("accessModes", Some(Yaml::texts(["ReadWriteOnce"]))),
                ("resources", Some(Yaml::map([("requests", Some(requests))]))),
            ])),
        ),
    ])
}

fn service(app: &Deployment) -> Yaml {
    let ports = app.ports.iter().map(|port| {
        Yaml::map([
            ("name", Some(Yaml::text(port_name(port)))),
            ("port", Some(Yaml::Number(port.number.into()))),
            ("targetPort", Some(Yaml::text(port_name(port)))),
            ("protocol", Some(Yaml::text(port.protocol.to_uppercase()))),
        ])
    });
    Yaml::map([
        ("apiVersion", text("v1")),
        ("kind", text("Service")),
        ("metadata", metadata(&app.name, &app.name)),
        (
            "spec",
            Some(Yaml::map([
                ("selector", labels(&app.name)),
                ("ports", Some(Yaml::List(ports.collect()))),
            ])),
        ),
    ])
}

fn deployment(app: &Deployment) -> Yaml {
    // Two pods cannot have a volume at the same time.
    let strategy = (!app.volumes.is_empty()).then(|| Yaml::map([("type", text("Recreate"))]));
    let template = Yaml::map([
        ("metadata", Some(Yaml::map([("labels", labels(&app.name))]))),
        ("spec", Some(pod(app))),
    ]);
    let selector = Yaml::map([("matchLabels", labels(&app.name))]);
    Yaml::map([
        ("apiVersion", text("apps/v1")),
        ("kind", text("Deployment")),
        ("metadata", metadata(&app.name, &app.name)),
        (
            "spec",
            Some(Yaml::map([
                ("replicas", Some(Yaml::Number(1))),
                ("selector", Some(selector)),
                ("strategy", strategy),
                ("template", Some(template)),
            ])),
        ),
    ])
}

fn pod(app: &Deployment) -> Yaml {
    let (name, value) = LOW_PORTS;
    let low_ports = Yaml::map([("name", text(name)), ("value", text(value))]);
    let security = Yaml::map([
        ("runAsNonRoot", Some(Yaml::Bool(app.uid != 0))),
        ("runAsUser", Some(Yaml::Number(app.uid.into()))),
        ("runAsGroup", Some(Yaml::Number(app.gid.into()))),
        // Volumes belong to root unless they are given to a group.
        (
            "fsGroup",
            (!app.volumes.is_empty()).then(|| Yaml::Number(app.gid.into())),
        ),
        (
            "seccompProfile",
            Some(Yaml::map([("type", text("RuntimeDefault"))])),
        ),
        (
            "sysctls",
            app.has_low_port().then(|| Yaml::List(vec![low_ports])),
        ),
    ]);
    let scratch = Yaml::map([
        ("name", text("tmp")),
        ("emptyDir", Some(Yaml::Map(Vec::new()))),
    ]);
    let volumes = app.volumes.iter().map(|volume| {
        let claim = Yaml::map([("claimName", text(&volume.name))]);
        Yaml::map([
            ("name", text(&volume.name)),
            ("persistentVolumeClaim", Some(claim)),
        ])
    });
    let volumes = [scratch].into_iter().chain(volumes);
    Yaml::map([
        ("automountServiceAccountToken", Some(Yaml::Bool(false))),
        ("securityContext", Some(security)),
        ("containers", Some(Yaml::List(vec![container(app)]))),
        ("volumes", Some(Yaml::List(volumes.collect()))),
    ])
}

fn container(app: &Deployment) -> Yaml {
    let ports = app.ports.iter().map(|port| {
        Yaml::map([
            ("name", Some(Yaml::text(port_name(port)))),
            ("containerPort", Some(Yaml::Number(port.number.into()))),
            ("protocol", Some(Yaml::text(port.protocol.to_uppercase()))),
        ])
    });
    let mount =
        |name: &str, path: &str| Yaml::map([("name", text(name)), ("mountPath", text(path))]);
    let mounts = app.volumes.iter();
    let mounts = mounts.map(|volume| mount(&volume.name, &volume.path));
    let mounts = [mount("tmp", "/tmp")].into_iter().chain(mounts);
    let capabilities = Yaml::map([("drop", Some(Yaml::texts(["ALL"])))]);
    let security = Yaml::map([
        ("allowPrivilegeEscalation", Some(Yaml::Bool(false))),
        ("readOnlyRootFilesystem", Some(Yaml::Bool(true))),
        ("capabilities", Some(capabilities)),
    ]);
    Yaml::map([
        ("name", text(&app.name)),
        ("image", text(&app.reference)),
        ("ports", Yaml::List(ports.collect()).some()),
        ("volumeMounts", Some(Yaml::List(mounts.collect()))),
        ("livenessProbe", probe(app)),
        ("securityContext", Some(security)),
    ])
}

fn probe(app: &Deployment) -> Option<Yaml> {
    let command = app.health_command()?;
    let check = app.health_check.as_ref()?;
    let time = |time: Option<u64>| time.map(|time| Yaml::Number(seconds(time)));
    let exec = Yaml::map([("command", Some(Yaml::texts(command)))]);
    Some(Yaml::map([
        ("exec", Some(exec)),
        ("initialDelaySeconds", time(check.start_period)),
        ("periodSeconds", time(check.interval)),
        ("timeoutSeconds", time(check.timeout)),
        (
            "failureThreshold",
            check.retries.map(|retries| Yaml::Number(retries.into())),
        ),
    ]))
}

/// At most 15 characters, with a letter: `tcp-8080`.
fn port_name(port: &OpenPort) -> String {
    format!("{}-{}", port.protocol, port.number)
}
