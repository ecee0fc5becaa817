// Opens a labeling config and a task in Label Studio's own editor, and returns what it holds of them.
async ({config, data, predicted, rows, milliseconds}) => {
  const errors = [];
  const uncaught = [];
  const note = event => uncaught.push(String(event.reason ?? event.error ?? event.message));
  addEventListener('error', note);
  addEventListener('unhandledrejection', note);

  const root = document.createElement('div');
  root.style.cssText = 'position: fixed; inset: 0; z-index: 9999; overflow: auto; background: white';
  document.body.append(root);
  const predictions = predicted.length ? [{id: 1, model_version: 'generated', result: predicted}] : [];

  const drawnAnew = () => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
  const plain = values => values && Array.from(values, value => value ?? null);

  /** The tag's data once the editor has it, null where an error comes instead. */
  const loaded = async (store, tag) => {
    const until = performance.now() + milliseconds;
    while (performance.now() < until) {
      try {
        if (tag.dataObj) return tag.dataObj;
      } catch (error) {
        errors.push(String(error));
      }
      if (errors.length || uncaught.length || store.validation?.length) return null;
      await new Promise(done => setTimeout(done, 5));
    }
    errors.push(`nothing after ${milliseconds} ms`);
    return null;
  };

  /** What the editor writes of regions over these rows, and what it would read of that. */
  const draw = async (store, times) => {
    const annotation = store.addAnnotation({userGenerate: true});
    store.selectAnnotation(annotation.id);
    const tag = annotation.names.get('ts');
    if (!await loaded(store, tag)) return [];
    const there = rows.filter(([, last]) => last < times.length);
    for (const [first, last] of there) {
      annotation.names.get('label').children[0].setSelected(true);
      tag.addRegion(times[first], times[last]).notifyDrawingFinished();
      annotation.unselectAll();
    }
    return annotation.serializeAnnotation().map((result, place) => {
      const {start, end} = result.value;
      const again = typeof start === 'string' ? [tag.parseTime(start), tag.parseTime(end)] : [start, end];
      return {rows: there[place], result, again};
    });
  };

  let editor;
  const held = {times: null, channels: {}, regions: {}, drawn: []};
  try {
    const {annotationStore: store} = await new Promise((resolve, reject) => {
      setTimeout(() => reject(new Error(`no editor after ${milliseconds} ms`)), milliseconds);
      editor = new LabelStudio(root, {
        config, task: {id: 1, data, annotations: [], predictions},
        interfaces: ['controls', 'panel', 'side-column', 'annotations:tabs', 'predictions:tabs'],
        instanceOptions: {reactVersion: 'v18'},
        onStorageInitialized: resolve,
      });
    });
    if (predictions.length) store.selectPrediction(store.predictions[0].id);
    else store.selectAnnotation(store.addAnnotation({userGenerate: true}).id);
    const tag = store.selected.names.get('ts');
    const columns = await loaded(store, tag);
    if (columns) {
      held.times = plain(columns[tag.keyColumn]);
      held.channels = Object.fromEntries(
        tag.channels.map(channel => [channel.column, plain(columns[channel.columnName])]));
      held.regions = Object.fromEntries(
        tag.regs.map(region => [region.cleanId, [region.start, region.end, region.instant]]));
      await drawnAnew();
      const goes = held.times && !errors.length && !uncaught.length;
      if (goes && rows.length) held.drawn = await draw(store, held.times);
    }
    await drawnAnew();
    errors.push(...(store.validation ?? []).map(error => `${error.value}`));
  } catch (error) {
    errors.push(String(error));
  }
  held.plots = root.querySelectorAll('.htx-timeseries-channel svg').length;
  try {
    editor?.destroy();
  } catch (error) {
    errors.push(`when closed: ${error}`);
  }
  root.remove();
  removeEventListener('error', note);
  removeEventListener('unhandledrejection', note);
  return {...held, errors, uncaught};
}
