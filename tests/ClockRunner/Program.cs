using System.Globalization;
using ClockRunner;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore;
using Npgsql;

// One process that writes for a tenant, and reads for another at a standby, until it is killed. Each line tells what its clock says, and what
// became of a write and a read: it is started with a clock of its own, which jumps.
var server = new NpgsqlConnectionStringBuilder(args[0]);
var registry = new OneDatabase(
    new DatabaseConnection
    {
        Name = "db",
        Host = server.Host!,
        Port = server.Port,
        ReplicaHosts = ReplicaHosts.Parse(args[1]),
        Database = server.Database!,
        Username = server.Username!,
        Password = Secret.FromText(server.Password ?? ""),
        SslMode = SslMode.Disable,
        PoolTimeout = TimeSpan.FromSeconds(5),
    }
);
var services = new ServiceCollection();
services.AddSingleton<IConnectionRegistry>(registry);
services.AddSingleton<ITenantStore>(registry);
services.AddNeoCommons(new ConfigurationBuilder().Build()).AddTenantDbContext<CounterContext>();
await using var provider = services.BuildServiceProvider();
var contexts = provider.GetRequiredService<ITenantDbContextFactory<CounterContext>>();
while (true)
{
    var write = await TryAsync(WriteAsync);
    var read = await TryAsync(ReadAsync);
    Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{DateTime.UtcNow:O} {write} {read}"));
    await Task.Delay(20);
}

async Task<string> WriteAsync()
{
    await using var context = await contexts.CreateDbContextAsync(registry.Writer.Id);
    context.Add(new Counter());
    await context.SaveChangesAsync();
    return "written";
}

async Task<string> ReadAsync()
{
    await using var context = await contexts.CreateReadOnlyDbContextAsync(registry.Reader.Id);
    return await context.Database.SqlQuery<bool>($"SELECT pg_is_in_recovery() AS \"Value\"").SingleAsync()
        ? "standby"
        : "primary";
}

static async Task<string> TryAsync(Func<Task<string>> work)
{
    try
    {
        return await work();
    }
    catch (Exception e)
    {
        return (e.InnerException ?? e).GetType().Name;
    }
}
