using System.CommandLine;

namespace NeoCommons.EfCore.Admin.Tests.Secrets.Leaks;

/// <summary>Runs each command, well or badly, as text, and as JSON with all that <c>--verbose</c> adds.</summary>
internal static class CommandsOnce
{
    public static async Task RunAsync(CanaryApp app, LeakRecorder recorder)
    {
        var other = await app.NewDatabaseAsync();
        string[][] lines =
        [
            ["tenants", "list"],
            ["tenants", "show", "acme"],
            ["tenants", "create", "initech", "--connection", "db2"],
            ["tenants", "create", "hooli", "--connection", "wrong"],
            ["tenants", "migrate", "acme"],
            ["tenants", "migrate", "--all"],
            ["tenants", "status"],
            ["tenants", "doctor"],
            ["tenants", "script", "acme", "--all"],
            ["tenants", "suspend", "initech"],
            ["tenants", "resume", "initech"],
            ["tenants", "rename", "initech", "--name", "Initech"],
            ["tenants", "limits", "initech", "--max-connections", "3"],
            ["tenants", "limits", "initech", "--max-connections", "-1"],
            ["tenants", "archive", "initech"],
            ["tenants", "restore", "initech"],
            ["tenants", "delete", "initech", "--confirm", "initech"],
            ["tenants", "template", "db2"],
            ["tenants", "pool"],
            ["connections", "list"],
            ["connections", "add", "more", .. app.Address(other)],
            ["connections", "add", "clash", .. app.Address(other)],
            ["connections", "add", "typed", "--password", app.Password.Text],
            ["connections", "add", "typed", $"--password={app.Password.Text}"],
            ["connections", "test"],
            ["connections", "set-password", "db2"],
            ["connections", "set-password", "dead"],
            ["connections", "set-address", "db2", "--port", "1"],
            ["connections", "set-address", "copied", "--port", "1"],
            ["connections", "disable", "db2"],
            ["connections", "enable", "db2"],
            ["admin", "migrate"],
            ["keys", "status"],
            ["keys", "rotate"],
            ["keys", "status", "--without", "1"],
        ];

        var all = CommandTree.All().SelectMany(g => g.Subcommands.OfType<Command>().Select(c => $"{g.Name} {c.Name}"));
        Assert.Empty(all.Except(lines.Select(line => $"{line[0]} {line[1]}")));
        foreach (var line in lines)
        {
            foreach (var form in new string[][] { [], ["--json", "--verbose"] })
            {
                await RunAsync(app, recorder, [.. line, .. form], null);
            }
        }

        await RunAsync(app, recorder, ["connections", "set-password", "db1", "--verbose"], app.WrongPassword.Text);
        await RunAsync(
            app,
            recorder,
            ["connections", "set-password", "db1", "--verbose"],
            "\ud800" + app.WrongPassword.Text
        );
    }

    private static async Task RunAsync(CanaryApp app, LeakRecorder recorder, string[] line, string? input)
    {
        var run = await app.Line(input).RunAsync(line);
        recorder.Add("command " + string.Join(' ', line.Take(3)), run.Out + run.Errors);
    }
}
