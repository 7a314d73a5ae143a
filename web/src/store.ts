/* A value that components watch. */
import { useEffect, useState } from "preact/hooks";

export class Store<T> {
	private readonly listeners = new Set<() => void>();

	constructor(private value: T) {}

	get(): T {
		return this.value;
	}

	set(value: T): void {
		this.value = value;
		this.listeners.forEach((listener) => listener());
	}

	watch(listener: () => void): () => void {
		this.listeners.add(listener);
		return () => void this.listeners.delete(listener);
	}
}

export function useStore<T>(store: Store<T>): T {
	const [value, setValue] = useState(() => store.get());
	useEffect(() => {
		const read = () => setValue(() => store.get());
		read();
		return store.watch(read);
	}, [store]);
	return value;
}
