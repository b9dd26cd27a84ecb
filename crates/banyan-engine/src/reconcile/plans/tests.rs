use anyhow::Result;
use banyan_core::fixture::recipients;
use banyan_git::Source;
use banyan_store::MemoryStore;
use banyan_testkit::git::TestRepo;

use super::*;

fn user(name: &str) -> String {
    format!(
        "apiVersion: banyan/v1\nkind: User\nmetadata: {{name: {name}}}\nspec: {{roles: [admin]}}\n"
    )
}

/// A repo of three files, its reader, and plans.
async fn setup() -> Result<(TestRepo, Reader, Plans)> {
    let repo = TestRepo::new()?;
    for name in ["a", "b", "c"] {
        repo.write(&format!("{name}.yaml"), user(name))?;
    }
    repo.commit("three\n")?;
    repo.force_push()?;
    let source = Source {
        url: repo.url().parse()?,
        branch: "main".to_owned(),
    };
    let reader = Reader::open(&repo.dir().join("clone.git"), source, None, None)?;
    let state = Arc::new(State::open(Arc::new(MemoryStore::new())).await?);
    let engine = EngineContext {
        recipients: recipients(),
        ..EngineContext::default()
    };
    let plans = Plans::new(&reader, state, engine, None)?;
    Ok((repo, reader, plans))
}

fn files(names: &[&str]) -> BTreeMap<String, Vec<u8>> {
    let file = |name: &&str| (format!("{name}.yaml"), user(name).into_bytes());
    names.iter().map(file).collect()
}

#[tokio::test]
async fn a_plan_starts_from_the_passes_cache_and_evicts_nothing() -> Result<()> {
    let (repo, mut reader, plans) = setup().await?;
    assert_eq!(reader.read()?.loaded.parsed, 3);
    let loaded = |names: &[&str]| {
        let files = files(names);
        let loaded = plans.work.load(&files);
        loaded.map(|loaded| (loaded.files, loaded.parsed))
    };
    assert_eq!(loaded(&["a", "new"])?, (2, 1));
    assert_eq!(loaded(&["a", "new"])?, (2, 1), "a plan caches nothing");
    repo.write("a.yaml", user("other"))?;
    repo.commit("one changed\n")?;
    repo.force_push()?;
    let revision = reader.read()?;
    assert_eq!((revision.loaded.files, revision.loaded.parsed), (3, 1));
    Ok(())
}

#[tokio::test]
async fn the_reader_reads_while_a_plan_is_under_way() -> Result<()> {
    let (_repo, mut reader, plans) = setup().await?;
    let plans = Arc::new(plans);
    let (started, has_started) = oneshot::channel();
    let (go_on, may_go_on) = std::sync::mpsc::channel::<()>();
    let place = plans.place().await.unwrap();
    let plan = tokio::spawn({
        let plans = Arc::clone(&plans);
        async move {
            let work = move |work: &Work| {
                let loaded = work.load(&files(&["a", "b"])).map(|loaded| loaded.files);
                let _ = started.send(());
                let _ = may_go_on.recv();
                loaded
            };
            plans.run(place, work).await
        }
    });
    has_started.await?;
    // The plan's thread is blocked in the middle of its work, and holds none of the reader's locks.
    assert_eq!(reader.read()?.loaded.parsed, 3);
    go_on.send(())?;
    assert_eq!(plan.await?.unwrap()?, 2);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn concurrent_plans_are_limited_and_a_disconnected_caller_keeps_its_permit() -> Result<()> {
    let (_repo, _reader, plans) = setup().await?;
    let (go_on, may_go_on) = std::sync::mpsc::channel::<()>();
    let place = plans.place().await.unwrap();
    {
        let gone = plans.run(place, move |_| may_go_on.recv().is_ok());
        let left = tokio::time::timeout(Duration::from_millis(1), gone).await;
        assert!(left.is_err());
    }
    let _second = plans.place().await.unwrap();
    assert!(
        plans.place().await.is_err(),
        "the caller left, its plan is still being made"
    );
    go_on.send(())?;
    // The paused clock advanced only for waiting; a permit becomes free when the plan is done.
    tokio::time::resume();
    assert!(plans.place().await.is_ok());
    Ok(())
}

#[tokio::test]
async fn a_plan_that_panics_is_reported_and_the_next_one_works() -> Result<()> {
    let (_repo, _reader, plans) = setup().await?;
    let place = plans.place().await.unwrap();
    let broken: Option<()> = plans.run(place, |_| panic!("a test")).await;
    assert!(broken.is_none());
    for _ in 0..PLACES {
        let place = plans.place().await.unwrap();
        let plan = plans.plan(place, files(&["a"])).await.unwrap()?;
        assert!(plan.refused, "there is no Cluster");
    }
    Ok(())
}
