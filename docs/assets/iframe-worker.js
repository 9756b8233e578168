// The site's search runs in a worker, and browsers refuse workers to pages that are opened from
// disk. There the worker's script runs in a hidden frame, which has the same messages.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      document.body.append(this.frame);
      const inside = this.frame.contentWindow;
      inside.postMessage = (data) => {
        const event = new MessageEvent("message", { data });
        this.dispatchEvent(event);
        this.onmessage?.(event);
      };
      inside.importScripts = (...urls) =>
        urls.reduce((before, one) => before.then(() => load(inside, one)), Promise.resolve());
      this.ready = load(inside, url);
    }

    postMessage(data) {
      const inside = this.frame.contentWindow;
      this.ready.then(() =>
        inside.dispatchEvent(new inside.MessageEvent("message", { data: structuredClone(data) }))
      );
    }

    terminate() {
      this.frame.remove();
    }
  };

  const load = (inside, url) =>
    new Promise((done, failed) => {
      const script = inside.document.createElement("script");
      script.src = url;
      script.onload = done;
      script.onerror = failed;
      inside.document.body.append(script);
    });
}
