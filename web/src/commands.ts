/* What to type on the initiator, made from the target as it is. Pure. */
export interface Facts {
	target: string;
	portals: string[]; /* host:port */
	user: string; /* "": no CHAP */
	secret: string; /* "" when it is not known any more: the placeholder stands there */
	mutualUser: string;
	mutualSecret: string;
	discoveryUser: string; /* CHAP of discovery; "": none */
}

export interface Step {
	what: string;
	command: string;
}
export type System = "linux" | "windows" | "esxi";
export const SYSTEMS: [System, string][] = [
	["linux", "Linux"],
	["windows", "Windows"],
	["esxi", "VMware ESXi"],
];

/* A number and the brackets of IPv6: "[fd00::1]:3260" */
export function splitPortal(portal: string): { host: string; port: string } {
	const at = portal.lastIndexOf(":");
	return { host: portal.slice(0, at).replace(/^\[|\]$/g, ""), port: portal.slice(at + 1) };
}

const shell = (text: string) => (/^[\w.:@%+/,\[\]-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
const power = (text: string) => `'${text.replaceAll("'", "''")}'`;
const secretOr = (secret: string, quote: (text: string) => string, what: string) =>
	secret ? quote(secret) : quote(what);
const SECRET = "THE-CHAP-SECRET",
	MUTUAL = "THE-MUTUAL-SECRET";

function linux(f: Facts): Step[] {
	const portal = f.portals[0]!;
	const node = `sudo iscsiadm -m node -T ${shell(f.target)} -p ${shell(portal)}`;
	const set = (name: string, value: string) => `${node} --op update -n ${name} -v ${value}`;
	const chap = [
		set("node.session.auth.authmethod", "CHAP"),
		set("node.session.auth.username", shell(f.user)),
		set("node.session.auth.password", secretOr(f.secret, shell, SECRET)),
	];
	const mutual = [
		set("node.session.auth.username_in", shell(f.mutualUser)),
		set("node.session.auth.password_in", secretOr(f.mutualSecret, shell, MUTUAL)),
	];
	return [
		{
			what: "Install the initiator (Debian, Ubuntu; elsewhere: iscsi-initiator-utils)",
			command: "sudo apt-get install open-iscsi",
		},
		{
			what: "This machine’s name, for the target’s access list",
			command: "sudo cat /etc/iscsi/initiatorname.iscsi",
		},
		...(f.discoveryUser
			? [
					{
						what: "Discovery needs CHAP here: set it in /etc/iscsi/iscsid.conf",
						command:
							`discovery.sendtargets.auth.authmethod = CHAP\ndiscovery.sendtargets.auth.username = ${f.discoveryUser}\n` +
							"discovery.sendtargets.auth.password = THE-DISCOVERY-SECRET",
					},
				]
			: []),
		...f.portals.map((one) => ({
			what: `Find the target at ${one}`,
			command: `sudo iscsiadm -m discovery -t sendtargets -p ${shell(one)}`,
		})),
		...(f.user
			? [{ what: "Tell it the CHAP credentials", command: [...chap, ...(f.mutualUser ? mutual : [])].join("\n") }]
			: []),
		{ what: "Log in", command: `${node} --login` },
		{ what: "Log in again after each start of the machine", command: set("node.startup", "automatic") },
		{ what: "The disks that are there now", command: "lsblk -S -o NAME,VENDOR,MODEL,SIZE,SERIAL" },
	];
}

function windows(f: Facts): Step[] {
	const portals = f.portals.map(splitPortal);
	const chap = f.user
		? ` \`\n  -AuthenticationType ${f.mutualUser ? "MUTUALCHAP" : "ONEWAYCHAP"} -ChapUsername ${power(f.user)} -ChapSecret ` +
			secretOr(f.secret, power, SECRET)
		: "";
	return [
		{
			what: "In PowerShell as administrator: start the initiator, now and with Windows",
			command: "Set-Service MSiSCSI -StartupType Automatic\nStart-Service MSiSCSI",
		},
		{
			what: "This machine’s name, for the target’s access list",
			command: "(Get-InitiatorPort -ConnectionType iSCSI).NodeAddress",
		},
		...(f.mutualUser
			? [
					{
						what: "The secret that the target proves itself with",
						command: `Set-IscsiChapSecret -ChapSecret ${secretOr(f.mutualSecret, power, MUTUAL)}`,
					},
				]
			: []),
		{
			what: "Where the target is",
			command: portals
				.map(
					({ host, port }) =>
						`New-IscsiTargetPortal -TargetPortalAddress ${power(host)} -TargetPortalPortNumber ${port}`,
				)
				.join("\n"),
		},
		{
			what: "Log in, also after each start of Windows",
			command: `Connect-IscsiTarget -NodeAddress ${power(f.target)} -IsPersistent $true${chap}`,
		},
		{ what: "The disks that are there now", command: "Get-Disk | Where-Object BusType -eq iSCSI" },
	];
}

function esxi(f: Facts): Step[] {
	const send = f.portals.map(
		(portal) => `esxcli iscsi adapter discovery sendtarget add --adapter=$HBA --address=${shell(portal)}`,
	);
	const chap = (direction: string, user: string, secret: string, placeholder: string) =>
		`esxcli iscsi adapter auth chap set --adapter=$HBA --direction=${direction} --level=required \\\n  --authname=${shell(user)} ` +
		`--secret=${secretOr(secret, shell, placeholder)}`;
	return [
		{
			what: "Turn the software initiator on and find its adapter",
			command:
				"esxcli iscsi software set --enabled=true\nHBA=$(esxcli iscsi adapter list | awk '/iscsi_vmk/ {print $1; exit}')",
		},
		{
			what: "This host’s name, for the target’s access list",
			command: "esxcli iscsi adapter get --adapter=$HBA | grep '^   Name'",
		},
		...(f.user
			? [
					{
						what: "The CHAP credentials, of the whole adapter",
						command: [
							chap("uni", f.user, f.secret, SECRET),
							...(f.mutualUser ? [chap("mutual", f.mutualUser, f.mutualSecret, MUTUAL)] : []),
						].join("\n"),
					},
				]
			: []),
		{ what: "Where the target is, remembered for each start", command: send.join("\n") },
		{
			what: "Log in and look for disks",
			command:
				"esxcli iscsi adapter discovery rediscover --adapter=$HBA\nesxcli storage core adapter rescan --adapter=$HBA",
		},
		{ what: "The disks that are there now", command: "esxcli storage core device list" },
	];
}

const STEPS = { linux, windows, esxi };

export const stepsFor = (system: System, facts: Facts): Step[] => STEPS[system](facts);

/* Portals as an initiator reaches them: one that listens everywhere is at the address that this page came from. */
export function reachable(addresses: string[], host: string): string[] {
	const bare = host.replace(/^\[|\]$/g, "");
	return addresses.map((address) => {
		const { host: at, port } = splitPortal(address);
		const seen = at === "0.0.0.0" || at === "::" ? bare : at;
		return seen.includes(":") ? `[${seen}]:${port}` : `${seen}:${port}`;
	});
}
