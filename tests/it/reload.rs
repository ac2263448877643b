//! The configuration is read again while the gateway runs: all of it or nothing.

use std::sync::Arc;
use std::time::Duration;

use face_liveness_client::v1::CreateSessionRequest;
use face_liveness_gateway::config::{self, Flags, Origin, Variables};
use face_liveness_gateway::gateway::Gateway;
use face_liveness_gateway::reload::{Error, Handle};
use rekognition_emulator::{Emulator, Fault, Latency};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::http::{Answer, get, send};
use crate::program::Program;
use crate::support::{KEY, Running, emulator, file, signing};

/// A gateway whose configuration is a file that can be written anew.
pub(crate) struct Scene {
    /// What every version of the file begins with.
    prelude: String,
    file: NamedTempFile,
    pub(crate) gateway: Running,
    handle: Handle,
}

impl Scene {
    pub(crate) async fn start(emulator: &Emulator, toml: &str) -> Self {
        let prelude = format!(
            "region = 'us-east-1'\nendpoint_url = '{}'\n",
            emulator.endpoint_url()
        );
        Self::beginning(prelude, toml).await
    }

    pub(crate) async fn beginning(prelude: String, toml: &str) -> Self {
        let file = file(&format!("{prelude}{toml}{END}"));
        let origin = Origin {
            flags: Flags {
                config: Some(file.path().to_owned()),
                listen: Some("127.0.0.1:0".to_owned()),
                admin_listen: Some("127.0.0.1:0".to_owned()),
                ..Flags::default()
            },
            variables: Variables::new(),
        };
        let (mut config, effective) = origin.load().await.unwrap();
        config.aws.identity = signing(KEY, KEY);
        let gateway = Gateway::bind(config)
            .unwrap()
            .reloading_from(origin, effective);
        let handle = gateway.reload_handle();
        Self {
            prelude,
            file,
            gateway: Running::run(gateway),
            handle,
        }
    }

    fn write(&self, toml: &str) {
        let text = format!("{}{toml}{END}", self.prelude);
        std::fs::write(self.file.path(), text).unwrap();
    }

    /// Writes, reloads, and gives the keys in force and those that wait.
    pub(crate) async fn reload(&self, toml: &str) -> (Vec<String>, Vec<String>) {
        self.write(toml);
        let report = self.handle.reload().await.unwrap();
        (report.applied, report.need_restart)
    }

    async fn create(&self, token: &str) -> Result<(), Status> {
        let mut client = self.gateway.client().await;
        let mut request = Request::new(CreateSessionRequest::default());
        let authorization = format!("Bearer {token}").parse().unwrap();
        request
            .metadata_mut()
            .insert("authorization", authorization);
        client.create_session(request).await.map(drop)
    }

    async fn reason(&self, token: &str) -> Option<String> {
        let status = self.create(token).await.err()?;
        Some(status.get_details_error_info().unwrap().reason)
    }
}

/// What every version of the file ends with.
const END: &str = "\n[server]\ndrain_delay = '0s'\n";

fn token(caller: &str, token: &str) -> String {
    let digest = Sha256::digest(token);
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("[[tokens]]\ncaller = '{caller}'\nsha256 = '{hex}'\n")
}

#[tokio::test]
async fn callers_their_tokens_rates_and_policies_change_without_a_restart() {
    let emulator = emulator().await;
    let scene = Scene::start(&emulator, &token("shop", "old")).await;
    assert_eq!(scene.reason("old").await, None);

    let rotated = [token("shop", "old"), token("shop", "new")].concat();
    let (applied, waiting) = scene.reload(&rotated).await;
    assert_eq!((applied, waiting.len()), (vec!["tokens".to_owned()], 0));
    assert_eq!(scene.reason("old").await, None);
    assert_eq!(scene.reason("new").await, None);

    let withdrawn = token("shop", "new");
    scene.reload(&withdrawn).await;
    assert_eq!(scene.reason("old").await.unwrap(), "UNAUTHENTICATED");

    let bounded = format!("{withdrawn}[[callers]]\nid = 'shop'\nrate = 0.001\n");
    scene.reload(&bounded).await;
    assert_eq!(scene.reason("new").await, None);
    assert_eq!(scene.reason("new").await.unwrap(), "CALLER_RATE");

    let elsewhere =
        format!("{withdrawn}[[callers]]\nid = 'shop'\npolicy.regions = ['eu-west-1']\n");
    scene.reload(&elsewhere).await;
    assert_eq!(scene.reason("new").await.unwrap(), "POLICY");
    let nobody = format!("{withdrawn}[default_caller]\nadmitted = false\n");
    scene.reload(&nobody).await;
    assert_eq!(scene.reason("new").await.unwrap(), "POLICY");
    let (applied, _) = scene.reload(&withdrawn).await;
    assert_eq!(applied, ["default_caller.admitted"]);
    assert_eq!(scene.reason("new").await, None);
}

#[tokio::test]
async fn a_bad_file_changes_nothing_and_says_why() {
    let emulator = emulator().await;
    let scene = Scene::start(&emulator, &token("shop", "old")).await;
    scene.write(&format!(
        "{}[[callers]]\nid = 'shop'\nweight = 0\nrate = -1.0\n",
        token("shop", "new")
    ));
    let Err(Error::Mistakes(mistakes)) = scene.handle.reload().await else {
        panic!("it was taken");
    };
    let told = mistakes.to_string();
    assert!(
        told.contains("callers[0].weight") && told.contains("callers[0].rate"),
        "{told}"
    );
    assert_eq!(scene.reason("old").await, None);
    assert_eq!(scene.reason("new").await.unwrap(), "UNAUTHENTICATED");
}

#[tokio::test]
async fn what_cannot_change_is_told_to_need_a_restart_every_time() {
    let emulator = emulator().await;
    let old = token("shop", "old");
    let scene = Scene::start(&emulator, &old).await;
    let more = format!("{old}[quota]\nkey_prefix = 'other'\n");
    for _ in 0..2 {
        let (applied, waiting) = scene.reload(&more).await;
        assert_eq!(
            (applied.len(), waiting),
            (0, vec!["quota.key_prefix".to_owned()])
        );
    }
    let (_, waiting) = scene.reload(&old).await;
    assert!(waiting.is_empty(), "{waiting:?}");
}

#[tokio::test]
async fn proof_that_was_wanted_stays_wanted() {
    let emulator = emulator().await;
    let scene = Scene::start(&emulator, &token("shop", "old")).await;
    // Loopback may be served to anybody, but this port was not opened as such.
    scene.reload("").await;
    assert_eq!(scene.reason("old").await.unwrap(), "UNAUTHENTICATED");
    let status = scene.gateway.create(CreateSessionRequest::default()).await;
    assert_eq!(status.unwrap_err().code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_call_in_flight_ends_under_the_rules_with_which_it_began() {
    let emulator = emulator().await;
    let slow = Latency::fixed(Duration::from_millis(300));
    emulator.set_faults([Fault::latency(slow)]);
    let old = token("shop", "old");
    let scene = Scene::start(&emulator, &old).await;
    let nobody = format!("{old}[default_caller]\nadmitted = false\n");
    let reload = async {
        while emulator.journal().requests_seen == 0 {
            tokio::task::yield_now().await;
        }
        scene.reload(&nobody).await;
    };
    let (begun, ()) = tokio::join!(scene.create("old"), reload);
    begun.unwrap();
    assert_eq!(scene.reason("old").await.unwrap(), "POLICY");
}

#[tokio::test]
async fn a_gateway_that_has_ended_says_that_it_cannot_reload() {
    let emulator = emulator().await;
    let scene = Scene::start(&emulator, &token("shop", "old")).await;
    scene.gateway.begin_shutdown();
    scene.gateway.ended().await;
    assert!(matches!(
        scene.handle.reload().await,
        Err(Error::NotRunning)
    ));
}

#[tokio::test]
async fn no_call_fails_while_the_configuration_is_read_again_and_again() {
    let emulator = emulator().await;
    let quota = "[quota]\ncreates_per_second = 9000\nconcurrent_sessions = 'off'\n";
    let old = format!("{quota}{}", token("shop", "old"));
    let scene = Arc::new(Scene::start(&emulator, &old).await);
    let over = CancellationToken::new();
    let mut load = JoinSet::new();
    for _ in 0..3 {
        let (scene, over) = (Arc::clone(&scene), over.clone());
        load.spawn(async move {
            let mut calls = 0;
            while !over.is_cancelled() {
                scene.create("old").await.unwrap();
                calls += 1;
            }
            calls
        });
    }
    let caller = "[[callers]]\nid = 'shop'\nrate = 9000.0\nburst = 9000\n";
    let versions = [
        format!("{old}{}", token("other", "new")),
        old.replace("9000", "8000"),
        format!("{old}{caller}"),
        old.replace("9000", "'off'"),
    ];
    for version in versions.iter().cycle().take(40) {
        scene.reload(version).await;
        scene.write("not TOML");
        assert!(scene.handle.reload().await.is_err());
    }
    over.cancel();
    assert!(load.join_all().await.iter().sum::<u32>() > 0);
}

/// Posts to /reload with these header lines.
async fn post(gateway: &Running, headers: &str) -> Answer {
    let head = "POST /reload HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n";
    send(gateway.admin, &format!("{head}{headers}\r\n")).await
}

#[tokio::test]
async fn the_admin_port_reloads_and_shows_what_is_in_force_then() {
    const JSON: &str = "content-type: application/json\r\n";
    let emulator = emulator().await;
    let old = token("shop", "old");
    let scene = Scene::start(&emulator, &old).await;
    let digest = async || get(scene.gateway.admin, "/status").await.json()["config_digest"].clone();
    let before = digest().await;
    let weights = |weight: i32, entries: i32| {
        format!(
            "{old}[default_caller]\nweight = {weight}\n[quota]\nqueue = 7\n[ledger]\nentries = {entries}\n"
        )
    };
    scene.write(&weights(3, 7));
    // Not what a page may send, nor anything that is no JSON.
    assert_eq!(post(&scene.gateway, "").await.code, 415);
    let crossing = format!("{JSON}sec-fetch-site: cross-site\r\n");
    assert_eq!(post(&scene.gateway, &crossing).await.code, 403);
    assert_eq!(digest().await, before);

    let answer = post(&scene.gateway, JSON).await;
    assert_eq!(answer.code, 200);
    let expected = json!({
        "applied": ["default_caller.weight", "quota.queue"],
        "need_restart": ["ledger.entries"],
    });
    assert_eq!(answer.json(), expected);
    assert_ne!(digest().await, before);
    let shown = get(scene.gateway.admin, "/config").await.body;
    let line = |key: &str| {
        let mut lines = shown.lines();
        let line = lines.find(|line| line.starts_with(key));
        line.unwrap()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    let path = scene.file.path().display();
    assert_eq!(line("weight ="), format!("weight = 3 # file {path}"));
    assert_eq!(line("queue ="), format!("queue = 7 # file {path}"));
    let waiting = "entries = 100000 # default; a new value waits for a restart";
    assert_eq!(line("entries ="), waiting);
    // It could be used again.
    let again = file(&shown.replace("[redacted]", &"0a".repeat(32)));
    let flags = Flags {
        config: Some(again.path().to_owned()),
        ..Flags::default()
    };
    let loaded = config::load(&flags, &Variables::new(), Vec::new()).await;
    assert_eq!(loaded.unwrap().0.quota.queue, 7);

    scene.write(&weights(0, -1));
    let refused = post(&scene.gateway, JSON).await;
    assert_eq!(refused.code, 422);
    let mistakes = refused.json()["mistakes"].clone();
    let place = |index: usize| mistakes[index]["place"].as_str().unwrap().to_owned();
    assert!(place(0).ends_with(": default_caller.weight"), "{mistakes}");
    assert!(place(1).ends_with(": ledger.entries"), "{mistakes}");
    assert_eq!(get(scene.gateway.admin, "/config").await.body, shown);
}

#[tokio::test]
async fn a_gateway_without_a_configuration_to_read_says_so() {
    let gateway = Running::over(&emulator().await).await;
    let answer = post(&gateway, "content-type: application/json\r\n").await;
    assert_eq!(answer.code, 503);
    assert!(answer.body.contains("cannot reload"), "{}", answer.body);
    assert_eq!(get(gateway.admin, "/reload").await.code, 405);
}

#[test]
fn sighup_reloads_and_the_log_tells_how_it_went() {
    let file = file("region = 'us-east-1'\n");
    let path = file.path().display().to_string();
    let mut program = Program::serve(&["--config", &path]);
    let mut write = |toml: &str, told: &str| {
        std::fs::write(file.path(), format!("region = 'us-east-1'\n{toml}")).unwrap();
        program.signal("HUP");
        program.until(told)
    };
    write(
        "[default_caller]\nrate = 1.0\n",
        "new and in force: default_caller.rate",
    );
    let log = write(
        "[default_caller]\nrate = -1.0\n",
        "default_caller.rate: must be",
    );
    assert!(log.contains("nothing has changed"), "{log}");
    write(
        "[default_caller]\nrate = 1.0\n[ledger]\nentries = 7\n",
        "new, but only after a restart: ledger.entries",
    );
}
