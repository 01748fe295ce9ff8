/** What a viewer holds and has not paid; amounts in minor units, times in Unix ms. */
export interface WatchItem {
  reservation: string;
  drop: string;
  sku: string;
  quantity: number;
  unit_price: number;
  currency: string;
  expires_at: number;
}

/** What was bought as one order. */
export interface WatchOrder {
  id: string;
  total: number;
  currency: string;
  items: { drop: string; sku: string; quantity: number; unit_price: number }[];
}

/** The events of the element and their details; the names in capitals are second names. */
export interface WatchEvents {
  "livedrop:ready": { show: string; title: string; status: string; currency: string };
  READY: WatchEvents["livedrop:ready"];
  "livedrop:reservation": WatchItem;
  ADD_TO_CART: WatchItem;
  "livedrop:release": WatchItem;
  REMOVE_FROM_CART: WatchItem;
  "livedrop:checkout": { items: WatchItem[] };
  CHECKOUT: WatchEvents["livedrop:checkout"];
  "livedrop:order": WatchOrder;
  PURCHASE: WatchOrder;
  "livedrop:waitlist": { drop: string; position: number };
  "livedrop:show": { status: "live" | "paused" | "ended" };
  "livedrop:unauthenticated": Record<string, never>;
}

/** `<livedrop-watch show token server lang title>`: the viewer's page of a show in a frame. */
export class LivedropWatch extends HTMLElement {
  /** The origin of the server that the frame is of. */
  readonly server: string;
  addEventListener<K extends keyof WatchEvents>(
    type: K,
    listener: (this: LivedropWatch, event: CustomEvent<WatchEvents[K]>) => unknown,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject,
    options?: boolean | AddEventListenerOptions,
  ): void;
}

declare global {
  interface HTMLElementTagNameMap {
    "livedrop-watch": LivedropWatch;
  }
}
