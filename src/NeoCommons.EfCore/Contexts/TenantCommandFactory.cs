using Microsoft.EntityFrameworkCore.Storage;

namespace NeoCommons.EfCore;

/// <summary>Makes the commands of tenant contexts, each a <see cref="TenantCommand"/>.</summary>
internal sealed class TenantCommandFactory(RelationalCommandBuilderDependencies dependencies)
    : RelationalCommandBuilderFactory(dependencies)
{
    public override IRelationalCommandBuilder Create() => new Builder(Dependencies);

    private sealed class Builder(RelationalCommandBuilderDependencies dependencies)
        : RelationalCommandBuilder(dependencies)
    {
        public override IRelationalCommand Build() => new TenantCommand(Dependencies, base.Build());
    }
}
