//! The documents that deploy an image, whole: they are small.

use pack::{Emit, Image, oci::HealthCheck};

use crate::fixture::{Fixture, TestResult, unchecked};

const REFERENCE: &str = "registry.example/team/hello@sha256:0";

fn emit(emit: Emit, is_rich: bool) -> Result<String, Box<dyn std::error::Error>> {
    let fixture = Fixture::new()?;
    let mut spec = fixture.spec();
    if is_rich {
        spec.ports = ["80".parse()?, "53/udp".parse()?].into();
        spec.volumes = ["/var/lib/hello".to_owned()].into();
        spec.stop_signal = Some("SIGQUIT".to_owned());
        spec.health_check = Some(HealthCheck {
            test: ["CMD", "/bin/hello", "--say", "50% of \"$x\""]
                .map(str::to_owned)
                .into(),
            interval: Some(10_000_000_000),
            timeout: Some(1_500_000_000),
            start_period: None,
            retries: Some(3),
        });
    }
    let roots = [fixture.hello.path.clone()];
    let image = Image::new(&fixture.store, &roots, &spec, &unchecked(), &|_| ())?;
    Ok(image.emit(emit, REFERENCE))
}

#[test]
fn compose_runs_it_without_rights() -> TestResult {
    assert_eq!(
        emit(Emit::Compose, false)?,
        r#"services:
  hello:
    image: "registry.example/team/hello@sha256:0"
    user: "65532:65532"
    read_only: true
    cap_drop:
      - "ALL"
    security_opt:
      - "no-new-privileges:true"
    tmpfs:
      - "/tmp"
    restart: "unless-stopped"
"#
    );
    let rich = emit(Emit::Compose, true)?;
    let (_, rich) = rich.split_once("    sysctls").ok_or("no sysctls")?;
    assert_eq!(
        rich,
        r#":
      net.ipv4.ip_unprivileged_port_start: "0"
    ports:
      - "53:53/udp"
      - "80:80/tcp"
    volumes:
      - type: "volume"
        source: "hello-var-lib-hello-0"
        target: "/var/lib/hello"
    healthcheck:
      test:
        - "CMD"
        - "/bin/hello"
        - "--say"
        - "50% of \"$$x\""
      interval: "10000000us"
      timeout: "1500000us"
      retries: 3
    stop_signal: "SIGQUIT"
    restart: "unless-stopped"
volumes:
  hello-var-lib-hello-0: {}
"#
    );
    Ok(())
}

#[test]
fn kubernetes_gets_a_pod_that_the_restricted_level_lets_in() -> TestResult {
    assert_eq!(
        emit(Emit::Kubernetes, false)?,
        r#"apiVersion: "apps/v1"
kind: "Deployment"
metadata:
  name: "hello"
  labels:
    app.kubernetes.io/name: "hello"
spec:
  replicas: 1
  selector:
    matchLabels:
      app.kubernetes.io/name: "hello"
  template:
    metadata:
      labels:
        app.kubernetes.io/name: "hello"
    spec:
      automountServiceAccountToken: false
      securityContext:
        runAsNonRoot: true
        runAsUser: 65532
        runAsGroup: 65532
        seccompProfile:
          type: "RuntimeDefault"
      containers:
        - name: "hello"
          image: "registry.example/team/hello@sha256:0"
          volumeMounts:
            - name: "tmp"
              mountPath: "/tmp"
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities:
              drop:
                - "ALL"
      volumes:
        - name: "tmp"
          emptyDir: {}
"#
    );
    let rich = emit(Emit::Kubernetes, true)?;
    let kinds: Vec<&str> = rich
        .lines()
        .filter_map(|line| line.strip_prefix("kind: "))
        .collect();
    assert_eq!(
        kinds,
        ["\"PersistentVolumeClaim\"", "\"Deployment\"", "\"Service\""]
    );
    for part in [
        "  strategy:\n    type: \"Recreate\"\n",
        "        fsGroup: 65532\n",
        "        sysctls:\n          - name: \"net.ipv4.ip_unprivileged_port_start\"\n            value: \"0\"\n",
        "            - name: \"udp-53\"\n              containerPort: 53\n              protocol: \"UDP\"\n",
        "            periodSeconds: 10\n            timeoutSeconds: 2\n            failureThreshold: 3\n",
        "            claimName: \"hello-var-lib-hello-0\"\n",
    ] {
        assert!(rich.contains(part), "{part}\n{rich}");
    }
    Ok(())
}

#[test]
fn systemd_runs_it_with_podman() -> TestResult {
    let rich = emit(Emit::Systemd, true)?;
    let (_, command) = rich.split_once("ExecStart=").ok_or("no command")?;
    assert_eq!(
        command,
        r#"/usr/bin/podman \
    run \
    --rm \
    --replace \
    --sdnotify=conmon \
    --cgroups=split \
    --read-only \
    --read-only-tmpfs=false \
    --tmpfs=/tmp:rw,nosuid,nodev,noexec,mode=1777 \
    --cap-drop=all \
    --security-opt=no-new-privileges \
    --name=hello \
    --user=65532:65532 \
    --sysctl=net.ipv4.ip_unprivileged_port_start=0 \
    --publish=53:53/udp \
    --publish=80:80/tcp \
    --volume=hello-var-lib-hello-0:/var/lib/hello \
    "--health-cmd=[\"/bin/hello\",\"--say\",\"50%% of \\\"$$x\\\"\"]" \
    --health-interval=10000000us \
    --health-timeout=1500000us \
    --health-retries=3 \
    --stop-signal=SIGQUIT \
    registry.example/team/hello@sha256:0

[Install]
WantedBy=multi-user.target
"#
    );
    assert!(!emit(Emit::Systemd, false)?.contains("sysctl"));
    Ok(())
}
