using FleetRunner;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using NeoCommons.EfCore.Admin;

// One process that migrates all tenants, to be started side by side with others, and killed.
var builder = Host.CreateApplicationBuilder();
builder.Logging.SetMinimumLevel(LogLevel.Warning);
builder.Services.AddNeoCommons(builder.Configuration).UseAdminDatabase().AddTenantDbContext<FleetContext>();
using var host = builder.Build();
var run = await host
    .Services.GetRequiredService<ITenantMigrator>()
    .MigrateAllAsync(new() { ParallelismPerServer = 4 }, new Reports());
Console.WriteLine($"{run.Status}: {run.Done} done, {run.Failed} failed, {run.Pending} pending, {run.Running} running");
return run.Status == MigrationRunStatus.Completed ? 0 : 1;

internal sealed class Reports : IProgress<MigrationProgress>
{
    public void Report(MigrationProgress value)
    {
        if (value.Tenant is { } tenant)
        {
            Console.WriteLine($"{tenant.Slug} {tenant.Status} {tenant.Error?.Message}");
        }
    }
}
