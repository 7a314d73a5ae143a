import { Head } from "../ui/page";

export function OverviewPage() {
	return <Head title="Overview" />;
}
