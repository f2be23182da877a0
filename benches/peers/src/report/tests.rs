use super::*;

fn cell(engine: &str, wall_ns: f64, failure: Option<&str>) -> Cell {
    let figures = Figures { wall_ns, cpu_ns: wall_ns / 2.0, ..Figures::default() };
    Cell {
        workload: "get uniform".into(),
        engine: engine.into(),
        figures: failure.is_none().then_some(figures),
        failure: failure.map(Into::into),
    }
}

fn results(cells: Vec<Cell>) -> Results {
    let engines = cells.iter().map(|cell| cell.engine.clone()).collect();
    Results { scale: Scale::QUICK, machine: Machine::here(), engines, cells }
}

#[test]
fn the_best_is_bold_and_a_loss_is_told() {
    let text = document(&results(vec![cell("aether", 300.0, None), cell("lmdb", 200.0, None)]));
    assert!(text.contains("| get uniform | 300 ns (150 ns) | **200 ns (100 ns)** |"), "{text}");
    assert!(
        text.contains("| get uniform | 300 ns (150 ns) | lmdb 200 ns (100 ns) | 1.50 | 1.50 |"),
        "{text}"
    );
}

#[test]
fn a_failed_cell_is_told_with_its_reason() {
    let text = document(&results(vec![cell("aether", 300.0, None), cell("lmdb", 0.0, Some("wrong answer"))]));
    assert!(text.contains("| failed |") && text.contains("- get uniform, lmdb: wrong answer"), "{text}");
}

#[test]
fn every_engine_says_how_it_is_set() {
    let cells = adapters::PEERS.iter().map(|peer| cell(peer.name, 1.0, None)).collect();
    let text = settings(&results(cells));
    assert!(adapters::PEERS.iter().all(|peer| text.contains(peer.each) && peer.version() != "?"), "{text}");
}

#[test]
fn levels_are_columns_of_their_own_and_the_serializable_one_is_compared() {
    let one = |engine: &str, wall_ns, attempts| {
        let workload = "txn accounts".into();
        let figures =
            Figures { attempts: Some(attempts), ..cell(engine, wall_ns, None).figures.unwrap_or_default() };
        Cell { workload, figures: Some(figures), ..cell(engine, wall_ns, None) }
    };
    let (aether, lmdb) = (cell("aether", 300.0, None), cell("lmdb", 400.0, None));
    let levels =
        [one("aether snapshot", 2e3, 1.0), one("aether serializable", 4e3, 1.25), one("lmdb", 3e3, 1.0)];
    let text = document(&results([aether, lmdb].into_iter().chain(levels).collect()));
    assert!(text.contains("|  | aether snapshot | aether serializable | lmdb |"), "{text}");
    assert!(text.contains("|  | aether | lmdb |"), "{text}");
    assert!(text.contains("| txn accounts | **500 k** | 250 k | 333 k |"), "{text}");
    assert!(text.contains("| txn accounts | **0.00** | 25.0 | **0.00** |"), "{text}");
    assert!(
        text.contains("| txn accounts | 4.00 us (2.00 us) | lmdb 3.00 us (1.50 us) | 1.33 | 1.33 |"),
        "{text}"
    );
}

#[test]
fn newer_figures_replace_those_of_the_same_workload() {
    let older = results(vec![cell("aether", 300.0, None), cell("lmdb", 200.0, None)]);
    let mut newer = results(vec![cell("aether", 100.0, None)]);
    let joined = older.clone().joined(newer.clone()).expect("of one scale");
    assert_eq!(joined.cells.len(), 1);
    assert_eq!(joined.figures("get uniform", "aether").map(|figures| figures.wall_ns), Some(100.0));
    newer.scale.rows += 1;
    assert!(older.joined(newer).is_err());
}
