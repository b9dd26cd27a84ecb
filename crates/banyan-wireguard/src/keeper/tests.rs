use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};

use banyan_core::WantedPeer;
use tokio::task::JoinHandle;

use super::*;
use crate::fake::{Failure, Fake};

/// What the source wants, which the test changes, and the notifications it received.
#[derive(Default)]
struct Script {
    wanted: Option<PeerSet>,
    /// The keys that changed since the keeper last asked, if the source names them.
    keys: Option<BTreeSet<PublicKey>>,
    unchanged: bool,
    devices: VecDeque<Fake>,
    opened: usize,
    reached: usize,
    repairs: Vec<String>,
}

#[derive(Clone)]
struct Play {
    script: Arc<Mutex<Script>>,
    change: watch::Sender<()>,
}

struct Actor {
    play: Play,
    changes: watch::Receiver<()>,
    last: PeerSet,
    keys: BTreeSet<PublicKey>,
}

#[async_trait]
impl Source for Actor {
    fn wanted(&mut self) -> Option<Wanted<'_>> {
        self.changes.mark_unchanged();
        let mut script = self.play.script();
        self.last = script.wanted.clone()?;
        let unchanged = std::mem::replace(&mut script.unchanged, true);
        let keys = script.keys.take();
        self.keys = keys.clone().unwrap_or_default();
        let since = match (unchanged, keys) {
            (true, _) => Since::Unchanged,
            (false, Some(_)) => Since::Keys(&self.keys),
            (false, None) => Since::Unknown,
        };
        Some(Wanted {
            peers: &self.last,
            since,
        })
    }

    async fn changed(&mut self) -> bool {
        self.changes.changed().await.is_ok()
    }

    async fn open(&mut self) -> Result<Option<Arc<dyn Device>>, DeviceError> {
        self.changes.mark_unchanged();
        let mut script = self.play.script();
        if script.wanted.is_none() {
            return Ok(None);
        }
        script.opened += 1;
        match script.devices.pop_front() {
            Some(device) => Ok(Some(Arc::new(device))),
            None => Err(DeviceError::Exists { name: name() }),
        }
    }

    fn reached(&mut self) {
        self.play.script().reached += 1;
    }

    fn repaired(&mut self, interface: &InterfaceName, repair: Repair<'_>) {
        let text = match repair {
            Repair::Peers(changes) => format!("{interface}: {} peers", changes.len()),
            Repair::Interface => format!("{interface} removed"),
        };
        self.play.script().repairs.push(text);
    }
}

impl Play {
    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }

    /// Sets the wanted peers. `keys` are the ones the source reports as changed.
    fn want(&self, peers: &[u8], keys: Option<&[u8]>) {
        let mut set = PeerSet::new();
        for number in peers {
            set.insert(peer(*number)).unwrap();
        }
        let mut script = self.script();
        script.wanted = Some(set);
        script.unchanged = false;
        script.keys = keys.map(|keys| keys.iter().map(|number| key(*number)).collect());
        drop(script);
        self.change.send_replace(());
    }
}

struct Stage {
    play: Play,
    device: CurrentDevice,
    problem: DeviceProblem,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

fn start(devices: &[&Fake]) -> Stage {
    let (change, changes) = watch::channel(());
    let script = Script {
        devices: devices.iter().map(|device| (*device).clone()).collect(),
        ..Script::default()
    };
    let play = Play {
        script: Arc::new(Mutex::new(script)),
        change,
    };
    let (keeper, device, problem) = Keeper::new(Actor {
        play: play.clone(),
        changes,
        last: PeerSet::new(),
        keys: BTreeSet::new(),
    });
    let stop = CancellationToken::new();
    let task = tokio::spawn(keeper.run(stop.clone()));
    Stage {
        play,
        device,
        problem,
        stop,
        task,
    }
}

fn name() -> InterfaceName {
    "wg-test".parse().unwrap()
}

fn fake() -> Fake {
    Fake::new(name())
}

fn key(number: u8) -> PublicKey {
    PublicKey::from_bytes([number; 32]).unwrap()
}

fn peer(number: u8) -> WantedPeer {
    WantedPeer {
        key: key(number),
        allowed_ips: [format!("10.0.0.{number}/32").parse().unwrap()].into(),
        endpoint: None,
        keepalive: None,
    }
}

fn stranger(number: u8) -> ObservedPeer {
    let WantedPeer { key, .. } = peer(number);
    ObservedPeer {
        key,
        allowed_ips: BTreeSet::new(),
        endpoint: None,
        keepalive: None,
        last_handshake: None,
        received: 0,
        sent: 0,
    }
}

fn keys(numbers: &[u8]) -> BTreeSet<PublicKey> {
    numbers.iter().map(|number| key(*number)).collect()
}

/// Lets the keeper run until it waits for time to pass.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn no_device_is_opened_until_one_is_wanted_and_then_it_follows() {
    let fake = fake();
    let stage = start(&[&fake]);
    settle().await;
    assert!(stage.device.load().is_none());
    assert_eq!(stage.play.script().reached, 1);
    stage.play.want(&[1, 2], None);
    settle().await;
    assert_eq!(fake.keys(), keys(&[1, 2]));
    stage.play.want(&[2, 3], None);
    settle().await;
    assert_eq!(fake.keys(), keys(&[2, 3]));
    assert_eq!(*stage.problem.borrow(), None);
    assert_eq!(stage.play.script().repairs, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn changes_by_other_programs_are_undone_at_the_next_rescan_and_reported() {
    let fake = fake();
    let stage = start(&[&fake]);
    stage.play.want(&[1, 2], None);
    settle().await;
    fake.drop_peer(&key(1));
    fake.put_peer(stranger(9));
    settle().await;
    assert_eq!(fake.keys(), keys(&[2, 9]), "too early");
    tokio::time::sleep(RESCAN).await;
    assert_eq!(fake.keys(), keys(&[1, 2]));
    assert_eq!(stage.play.script().repairs, ["wg-test: 2 peers"]);
    tokio::time::sleep(RESCAN * 3).await;
    assert_eq!(stage.play.script().repairs.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failed_change_is_repeated_and_the_problem_shows_meanwhile() {
    for failure in [Failure::Whole, Failure::Half, Failure::Told] {
        let fake = fake();
        fake.fail_apply(0, failure);
        let stage = start(&[&fake]);
        stage.play.want(&[1, 2], None);
        settle().await;
        let problem = stage.problem.borrow().clone().unwrap();
        assert_eq!(problem, "device wg-test failed: scripted failure");
        let reached = stage.play.script().reached;
        tokio::time::sleep(RETRY).await;
        assert_eq!(fake.keys(), keys(&[1, 2]), "{failure:?}");
        assert_eq!(*stage.problem.borrow(), None);
        assert!(stage.play.script().reached > reached);
        // A difference that the keeper's own failure left behind is not blamed on other programs.
        assert_eq!(stage.play.script().repairs, Vec::<String>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn a_named_difference_changes_those_peers_and_no_others_until_the_rescan() {
    let fake = fake();
    let stage = start(&[&fake]);
    stage.play.want(&[1, 2, 3], None);
    settle().await;
    // A faulty source that reports only 4 as changed.
    stage.play.want(&[2, 3, 4], Some(&[4]));
    settle().await;
    assert_eq!(fake.keys(), keys(&[1, 2, 3, 4]));
    stage.play.want(&[2, 3], Some(&[1, 4]));
    settle().await;
    assert_eq!(fake.keys(), keys(&[2, 3]));
    assert_eq!(fake.asked().last().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn after_a_failure_a_named_difference_is_not_relied_on() {
    let fake = fake();
    let stage = start(&[&fake]);
    stage.play.want(&[1, 2], None);
    settle().await;
    fake.fail_apply(1, Failure::Whole);
    stage.play.want(&[1, 2, 3], Some(&[3]));
    settle().await;
    assert_eq!(fake.keys(), keys(&[1, 2]));
    stage.play.want(&[1, 2, 3, 4], Some(&[4]));
    settle().await;
    assert_eq!(fake.keys(), keys(&[1, 2, 3, 4]));
}

#[tokio::test(start_paused = true)]
async fn a_removed_interface_is_reported_and_opened_again() {
    let (first, second) = (fake(), fake());
    let stage = start(&[&first, &second]);
    stage.play.want(&[1], None);
    settle().await;
    first.vanish();
    tokio::time::sleep(RESCAN).await;
    assert!(stage.device.load().is_none());
    assert!(stage.problem.borrow().is_some());
    tokio::time::sleep(RETRY).await;
    assert_eq!(second.keys(), keys(&[1]));
    assert_eq!(stage.play.script().repairs, ["wg-test removed"]);
    assert_eq!(*stage.problem.borrow(), None);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_cannot_be_opened_is_tried_each_second() {
    let stage = start(&[]);
    stage.play.want(&[1], None);
    tokio::time::sleep(RETRY * 3 + Duration::from_millis(10)).await;
    assert_eq!(stage.play.script().opened, 4);
    assert!(stage.problem.borrow().as_ref().unwrap().contains("wg-test"));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_wants_nothing_any_more_leaves_the_device_as_it_is() {
    let fake = fake();
    let stage = start(&[&fake]);
    stage.play.want(&[1], None);
    settle().await;
    stage.play.script().wanted = None;
    stage.play.change.send_replace(());
    tokio::time::sleep(RESCAN * 2).await;
    assert_eq!(fake.keys(), keys(&[1]));
}

#[tokio::test(start_paused = true)]
async fn stopping_takes_the_device_down() {
    let fake = fake();
    let stage = start(&[&fake]);
    stage.play.want(&[1], None);
    settle().await;
    stage.stop.cancel();
    stage.task.await.unwrap();
    assert!(stage.device.load().is_none());
    assert!(fake.peers().await.is_err());
}
